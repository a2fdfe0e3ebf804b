//! The shell around the core: it gives the core what clients, inboxes and services say, and carries out what the core
//! puts out.
//!
//! `application` hears clients, `inbox` what their users' inboxes receive, `sweeper` the time. Each calls
//! `shell::step`, which locks the user, lets the core decide, and carries its outputs out: `emit` those for sockets,
//! `services` the questions. `presence` and `watchers` know who is online.

mod application;
mod connecting;
mod context;
mod emit;
mod identity;
mod inbox;
mod presence;
mod presences;
mod seats;
mod services;
mod shell;
mod sweeper;
mod users;
mod watchers;

pub use application::Chat;
pub use context::Context;
pub use inbox::Receiver;
pub use presences::Presences;
pub use sweeper::{drain, sweep};
pub use users::{Socket, Users};
pub use watchers::keep_presence;
