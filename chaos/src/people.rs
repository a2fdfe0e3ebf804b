//! The simulated users: what each of them does, says and hears on one connection after the other.
//!
//! A [`Person`](person::Person) is pure but for what it notes: frames and the time go in, frames and calls come out.
//! [`life`] gives it connections.

mod asks;
mod calls;
mod habits;
pub(crate) mod life;
mod outbox;
mod person;
mod rest;
mod seat;
pub(crate) mod stranger;
mod wire;
