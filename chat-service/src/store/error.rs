//! What can go wrong with PostgreSQL, by what to do about it.

use deadpool_postgres::PoolError;
use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::lanes::TripError;

/// Why a read or a single change failed.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// PostgreSQL is away, busy or not migrated yet: try again.
    #[error("PostgreSQL is not available: {0}")]
    Unavailable(String),
    /// The database was migrated by later services, to a version on which this one must not run.
    #[error(
        "the database's schema is version {present} and needs services of version {needs} or later, this one is of version {known}"
    )]
    NewerSchema {
        /// The database's.
        present: i32,
        /// The oldest whose services run on it.
        needs: i32,
        /// This service's.
        known: i32,
    },
    /// A defect of this service.
    #[error("PostgreSQL refuses: {0}")]
    Refused(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match TripError::from(&error) {
            TripError::Broken => Self::Refused(error),
            _ => Self::Unavailable(describe(&error)),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Unavailable(describe(&error)),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<&tokio_postgres::Error> for TripError {
    fn from(error: &tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) => of_code(code),
            // Closed, timed out, reset: anything but an answer.
            None => Self::Lost,
        }
    }
}

/// By code, else by class (PostgreSQL documentation, appendix A).
fn of_code(code: &SqlState) -> TripError {
    match *code {
        SqlState::UNIQUE_VIOLATION => TripError::Duplicate,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => TripError::Contended,
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => TripError::Stalled,
        // A demoted primary.
        SqlState::READ_ONLY_SQL_TRANSACTION => TripError::Lost,
        _ => match code.code().get(..2) {
            // Connection exception, operator intervention, idle-in-transaction time-out.
            Some("08" | "57" | "25") => TripError::Lost,
            // Data exception, integrity constraint violation, program limit exceeded.
            Some("22" | "23" | "54") => TripError::Broken,
            _ => TripError::Refused,
        },
    }
}

/// One line for the log: PostgreSQL's own words, without the row's values that `detail` may quote.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} ({})", answer.message(), answer.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_met_by_what_helps() {
        let of = |code: &str| of_code(&SqlState::from_code(code));
        assert_eq!(of("23505"), TripError::Duplicate);
        assert_eq!([of("40001"), of("40P01")], [TripError::Contended; 2]);
        assert_eq!([of("55P03"), of("57014")], [TripError::Stalled; 2]);
        assert_eq!([of("25006"), of("57P01"), of("57P03"), of("08006"), of("25P03")], [TripError::Lost; 5]);
        assert_eq!([of("53100"), of("53300"), of("58030"), of("42P01")], [TripError::Refused; 4]);
        assert_eq!([of("22021"), of("23502"), of("23514"), of("54000")], [TripError::Broken; 4]);
    }
}
