//! The gateway: clients on one side, NATS and gRPC on the other. It keeps no state that outlives a connection.

pub mod failure;
pub mod origin;
