//! Real servers and services as child processes of this one, on loopback and free ports, gone when it is gone.
//!
//! Tests of a service take [`servers`]; the `local-stack` program starts everything together as a [`Stack`].

pub mod daemon;
mod http;
mod note;
pub mod peer;
pub mod ports;
pub mod process;
mod programs;
pub mod proxy;
pub mod run;
mod secret;
pub mod servers;
pub mod stack;
pub mod token;

pub use stack::{Stack, StackConfig};
