//! Calls of the services by gRPC, which may be made again.

use std::time::{Duration, Instant};

use tonic::{Code, Response, Status};

use crate::failure::{Failure, of_status};

/// How often a call is made when its replica, or PostgreSQL behind it, turns out to be gone; another one may be there.
const TRIES: u32 = 3;
/// The first pause between two tries, at most; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No further try begins later than this: who waits for the answer has to hear of the failure in time.
const ASK_WINDOW: Duration = Duration::from_millis(1_500);

/// Makes a gRPC call. All of ours may be repeated: they read, or they are idempotent.
pub(super) async fn ask<T, F: Future<Output = Result<Response<T>, Status>>>(
    call: impl Fn() -> F,
) -> Result<T, Failure> {
    let (began, mut tries) = (Instant::now(), 1);
    loop {
        let status = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => status,
        };
        match pause_after(tries, began.elapsed(), fastrand::f64()) {
            Some(pause) if is_worth_another_try(&status) => tokio::time::sleep(pause).await,
            _ => return Err(of_status(&status)),
        }
        tries += 1;
    }
}

/// The pause after so many tries that took so long, if there is time for another one. `chance`, from 0 to 1, spreads
/// those who failed together, so that they do not come back together.
fn pause_after(tries: u32, took: Duration, chance: f64) -> Option<Duration> {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    let pause = longest.mul_f64(0.5 + chance / 2.0);
    (tries < TRIES && took + pause < ASK_WINDOW).then_some(pause)
}

fn is_worth_another_try(status: &Status) -> bool {
    use std::error::Error;
    // A status with a source was made here, of a broken connection. A missed deadline has used up its time.
    status.code() != Code::DeadlineExceeded && (status.code() == Code::Unavailable || status.source().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_tries_double_are_spread_and_end_with_the_time() {
        let ms = Duration::from_millis;
        assert_eq!([0.0, 1.0].map(|chance| pause_after(1, ms(5), chance)), [Some(ms(50)), Some(ms(100))]);
        assert_eq!([0.0, 1.0].map(|chance| pause_after(2, ms(5), chance)), [Some(ms(100)), Some(ms(200))]);
        assert_eq!(pause_after(TRIES, ms(5), 0.0), None);
        assert_eq!(pause_after(1, ASK_WINDOW, 0.0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_is_made_three_times_with_pauses() {
        let (calls, began) = (std::cell::Cell::new(0), tokio::time::Instant::now());
        let failed = ask(async || {
            calls.set(calls.get() + 1);
            Err::<Response<()>, _>(Status::unavailable("PostgreSQL is away"))
        });
        assert_eq!(failed.await, Err(Failure::unavailable()));
        assert_eq!(calls.get(), 3);
        assert!(began.elapsed() >= FIRST_PAUSE * 3 / 2, "{:?}", began.elapsed());
    }
}
