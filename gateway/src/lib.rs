//! The gateway: clients on one side, NATS and gRPC on the other. It keeps no state that outlives a connection.

pub mod auth;
pub mod egress;
pub mod failure;
pub mod limits;
pub mod origin;
pub mod payload;
pub mod revocations;
pub mod views;
