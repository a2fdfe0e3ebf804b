//! Which lines reach the log.

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterFn, filter_fn},
};

/// The span of a task, which names it in the log lines that belong to nothing else. It lasts as long as the process, so
/// no trace holds it.
pub(crate) const TASK_SPAN: &str = "task";

/// Libraries that tell of each attempt to connect, several a second while a server is away: below a warning only if
/// they are asked for.
const TALKERS: [&str; 8] = ["async_nats", "h2", "hyper", "hyper_util", "redis", "reqwest", "tonic", "tower"];

/// Libraries whose finer lines tell what people write: one logs each message, the other the parameters of statements.
const TELLTALES: [&str; 2] = ["async_nats", "tokio_postgres"];

/// Whatever `--log-filter` says, no line tells the content of a message.
pub(super) fn discretion() -> FilterFn {
    filter_fn(|metadata| *metadata.level() <= Level::INFO || !is_of(metadata.target(), &TELLTALES))
}

/// Unless `filter` names a library that tells of each attempt to connect, only its warnings are written.
pub(super) fn restraint(filter: &str) -> FilterFn<impl Fn(&tracing::Metadata<'_>) -> bool + use<>> {
    let silenced: Vec<&str> = TALKERS.into_iter().filter(|library| !names(filter, library)).collect();
    filter_fn(move |metadata| LevelFilter::WARN >= *metadata.level() || !is_of(metadata.target(), &silenced))
}

/// The log tells the spans of messages only where `--log-filter` asks for finer lines than `INFO`: each costs
/// allocations and locks, and lines of `INFO` and above name their ids themselves. Requests by HTTP and gRPC are told
/// by their names.
pub(super) fn thrift(filter: &EnvFilter) -> FilterFn<impl Fn(&tracing::Metadata<'_>) -> bool + use<>> {
    let is_fine = filter.max_level_hint().is_none_or(|level| level >= LevelFilter::DEBUG);
    let is_named = |metadata: &tracing::Metadata<'_>| metadata.fields().field("otel.name").is_some();
    filter_fn(move |metadata| is_fine || !metadata.is_span() || metadata.name() == TASK_SPAN || is_named(metadata))
}

fn is_of(target: &str, libraries: &[&str]) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    libraries.contains(&library)
}

/// Whether one of the directives is about the library.
fn names(filter: &str, library: &str) -> bool {
    filter.split(',').any(|directive| {
        let target = directive.trim().split(['=', '[']).next().unwrap_or_default();
        is_of(target, &[library])
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{Layer, filter::FilterExt, layer::SubscriberExt};

    use super::*;

    /// Writes down the target and level of each line.
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            let metadata = event.metadata();
            self.0.lock().unwrap().push(format!("{} {}", metadata.target(), metadata.level()));
        }
    }

    /// What is written of lines of ours and of libraries.
    fn written(filter: &str) -> Vec<String> {
        let lines = Arc::default();
        let layer = Lines(Arc::clone(&lines));
        let filters = EnvFilter::try_new(filter).unwrap().and(discretion()).and(restraint(filter));
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filters));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "gateway::app", "");
            tracing::info!(target: "async_nats::connector", "");
            tracing::warn!(target: "async_nats::connector", "");
            tracing::debug!(target: "async_nats", "");
            tracing::info!(target: "hyper_util", "");
            tracing::debug!(target: "tokio_postgres::query", "");
        });
        let lines: &Mutex<Vec<String>> = &lines;
        lines.lock().unwrap().clone()
    }

    #[test]
    fn attempts_to_connect_are_silent_whatever_the_level() {
        let expected = ["gateway::app INFO", "async_nats::connector WARN"];
        for filter in ["info", "debug", "trace", "info,async_nats=warn", "info,gateway=debug", "info,async=trace"] {
            assert_eq!(written(filter), expected, "{filter}");
        }
    }

    #[test]
    fn a_library_that_is_named_may_talk() {
        let expected = ["gateway::app INFO", "async_nats::connector INFO", "async_nats::connector WARN"];
        for filter in ["info,async_nats=info", "async_nats=debug,info", "info,async_nats::connector=trace"] {
            assert_eq!(written(filter), expected, "{filter}");
        }
    }

    #[test]
    fn nothing_is_written_that_the_filter_leaves_out() {
        assert_eq!(written("error"), [""; 0]);
        assert_eq!(written("off"), [""; 0]);
        assert_eq!(written("warn"), ["async_nats::connector WARN"]);
    }

    #[test]
    fn spans_are_made_for_the_log_only_where_it_holds_fine_lines() {
        let is_made = |text: &str| {
            let filter = EnvFilter::try_new(text).unwrap();
            let filter = thrift(&filter).and(filter);
            let subscriber = tracing_subscriber::registry().with(Lines(Arc::default()).with_filter(filter));
            tracing::subscriber::with_default(subscriber, || {
                let named = tracing::info_span!("grpc", otel.name = "Heads");
                [tracing::info_span!("receive"), tracing::info_span!("task"), named].map(|span| !span.is_disabled())
            })
        };
        assert_eq!(is_made("info"), [false, true, true]);
        assert_eq!(["debug", "info,service_kit=debug"].map(|text| is_made(text)[0]), [true; 2]);
    }
}
