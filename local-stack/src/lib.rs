//! Real servers and services as child processes of this one, on loopback and free ports, gone when it is gone.
//!
//! Tests of a service take [`servers`]; the `local-stack` program starts everything together.

pub mod daemon;
pub mod ports;
pub mod process;
mod programs;
mod secret;
pub mod servers;
