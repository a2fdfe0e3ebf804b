//! What is heard of a panic: one line in the log, with the place and the task, and a count.

use std::{
    fmt,
    panic::{Location, PanicHookInfo},
    sync::LazyLock,
};

use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::task_local;

task_local! {
    /// The task that runs.
    pub(crate) static TASK: TaskName;
}

static PANICS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("service-kit")
        .u64_counter("process.panics")
        .with_unit("{panic}")
        .with_description("Panics, by task: each is a defect, and is logged with its place")
        .build()
});

/// How a task is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TaskName {
    /// By a name.
    Is(&'static str),
    /// By the place that started it.
    At(&'static Location<'static>),
    /// A task of a library.
    Unnamed,
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(name) => f.write_str(name),
            Self::At(place) => write!(f, "{}:{}", place.file(), place.line()),
            Self::Unnamed => f.write_str("unnamed"),
        }
    }
}

/// From now on every panic of the process is logged and counted.
pub(crate) fn tell() {
    std::panic::set_hook(Box::new(heard));
}

fn heard(panic: &PanicHookInfo<'_>) {
    let task = TASK.try_with(|task| *task).unwrap_or(TaskName::Unnamed).to_string();
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    // A text that was made when it panicked may hold what people wrote.
    let reason = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("told by its place only");
    tracing::error!(task, place, reason, "a panic");
    PANICS.add(1, &[KeyValue::new("task", task)]);
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex, PoisonError},
        time::Duration,
    };

    use super::*;
    use crate::Lifecycle;

    /// A log that is kept.
    #[derive(Debug, Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[tokio::test]
    async fn a_panic_is_logged_once_with_its_task_and_its_place_and_without_what_people_wrote() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        let _listening = tracing::subscriber::set_default(subscriber);
        let before = std::panic::take_hook();
        tell();
        let lifecycle = Lifecycle::new();
        lifecycle.spawn(async { panic!("a defect") });
        lifecycle.spawn(async { panic!("{}", "dear Bob".to_owned()) });
        assert!(lifecycle.stop(Duration::from_secs(5)).await, "a panic ends its task alone");
        std::panic::set_hook(before);
        let lines = log.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in &lines {
            assert_eq!(line.matches("panics.rs:").count(), 2, "{line}");
        }
        assert!(lines[0].contains("a defect") && !lines[1].contains("dear Bob"), "{lines:?}");
    }
}
