//! The services' pure cores in a simulated world: gateways, chat-service, milestone-service and clients, whose
//! processes crash and freeze, over a network that loses, delays and duplicates, and stores that are lost. No wall
//! clock, no threads: a seed decides everything, so that a run that breaks a promise can be repeated, and shrunk.
//!
//! [`Schedule::of`] a seed, [`run`] it, [`shrink`] what breaks a [`Promise`].

mod calls;
mod campaign;
mod cast;
mod channel;
mod client;
mod counter;
mod executor;
mod fleet;
mod gateway;
mod host;
mod mistake;
mod network;
mod pipe;
mod promises;
mod registers;
mod replica;
mod replicas;
mod run;
mod schedule;
mod shrink;
mod store;
mod stream;
mod world;

pub use ::promises::{Promise, Violation};
pub use campaign::{Campaign, Failure, Figures};
pub use mistake::Mistake;
pub use run::{Outcome, run};
pub use schedule::Schedule;
pub use shrink::shrink;
