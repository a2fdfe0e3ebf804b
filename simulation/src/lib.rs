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
mod gateway;
mod mistake;
mod network;
mod pipe;
mod promises;
mod replica;
mod schedule;
mod shrink;
mod store;
mod stream;
mod world;

pub use ::promises::{Promise, Violation};
pub use campaign::{Campaign, Failure, Figures};
pub use mistake::Mistake;
pub use schedule::{Action, Deed, Fault, Noise, Schedule, Server, Step};
pub use shrink::shrink;
pub use world::{Outcome, run};
