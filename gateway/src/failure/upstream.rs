//! What keeps the services from answering, as clients hear it.

use std::error::Error;

use proto::Code;
use service_kit::bus::BusError;
use tonic::Status;

use gateway_core::Failure;

/// The failure of a gRPC call. `NOT_FOUND` is said of matches only, `FAILED_PRECONDITION` of a match that exists in
/// another state.
pub fn of_status(status: &Status) -> Failure {
    // A status that was made here, of an error of the connection, and not sent by the service.
    if status.source().is_some() {
        return Failure::unavailable();
    }
    match status.code() {
        tonic::Code::NotFound => Code::MatchNotFound,
        tonic::Code::FailedPrecondition => Code::IdempotencyConflict,
        tonic::Code::InvalidArgument => Code::InvalidPayload,
        tonic::Code::PermissionDenied => Code::Forbidden,
        tonic::Code::Unavailable
        | tonic::Code::DeadlineExceeded
        | tonic::Code::Cancelled
        | tonic::Code::Aborted
        | tonic::Code::ResourceExhausted
        | tonic::Code::Unknown => Code::Unavailable,
        code => {
            tracing::error!(?code, reason = status.message(), "a service failed");
            Code::Internal
        }
    }
    .into()
}

/// The failure of a request over NATS.
pub fn of_bus(error: BusError) -> Failure {
    match error {
        BusError::Undecodable => Code::Internal.into(),
        BusError::NoResponders | BusError::TimedOut | BusError::Unavailable => Failure::unavailable(),
    }
}
