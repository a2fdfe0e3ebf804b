//! Times between PostgreSQL's `timestamptz` and the wire's milliseconds. All times are the database's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_postgres::{Client, Error};

/// Milliseconds since the Unix epoch.
pub(super) fn to_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// A time from milliseconds since the Unix epoch; what lies before it is the epoch.
pub(super) fn from_ms(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The server's time.
pub(super) async fn now_ms(client: &Client) -> Result<i64, Error> {
    client.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0).map(to_ms)
}
