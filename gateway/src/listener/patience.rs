//! How long a connection waits for a request: for its first byte, and from that for the rest of its headers.

use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;
use pin_project_lite::pin_project;
use tokio::time;

use crate::tcp::Arrival;

/// hyper's timer of one connection. hyper has one limit for both waits, and asks for it when it begins to wait for a
/// request.
///
/// The first request has `headers` from the start of the connection. A later one may begin within `keep_alive`, and
/// then has
/// `headers` from its first byte.
#[derive(Debug)]
pub(super) struct Patience {
    headers: Duration,
    keep_alive: Duration,
    arrival: Arrival,
    has_begun: AtomicBool,
}

impl Patience {
    pub(super) fn new(headers: Duration, keep_alive: Duration, arrival: Arrival) -> Self {
        Self { headers, keep_alive, arrival, has_begun: AtomicBool::default() }
    }
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            return TokioTimer::new().sleep_until(deadline);
        }
        self.arrival.clear();
        Box::pin(Wait {
            sleep: time::sleep(self.keep_alive),
            headers: self.headers,
            arrival: self.arrival.clone(),
            is_arriving: false,
        })
    }
}

pin_project! {
    /// The wait for a request on a kept connection. hyper polls it whenever it has read something and needs more.
    struct Wait {
        #[pin]
        sleep: time::Sleep,
        headers: Duration,
        arrival: Arrival,
        is_arriving: bool,
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut wait = self.project();
        if !*wait.is_arriving && wait.arrival.has_come() {
            *wait.is_arriving = true;
            wait.sleep.as_mut().reset(time::Instant::now() + *wait.headers);
        }
        wait.sleep.poll(cx)
    }
}

impl Sleep for Wait {}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: Duration = Duration::from_secs(15);
    const KEEP_ALIVE: Duration = Duration::from_secs(75);

    fn patience() -> Patience {
        Patience::new(HEADERS, KEEP_ALIVE, Arrival::default())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_has_the_time_for_headers_and_a_later_one_that_of_an_idle_connection() {
        let patience = patience();
        for limit in [HEADERS, KEEP_ALIVE, KEEP_ALIVE] {
            let began = time::Instant::now();
            patience.sleep_until((began + HEADERS).into_std()).await;
            assert_eq!(began.elapsed().as_secs(), limit.as_secs());
        }
    }
}
