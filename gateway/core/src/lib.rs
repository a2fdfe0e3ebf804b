//! Decides everything for a user's sockets on one gateway, without tokio, clock and IO: an input and its moment go in, outputs come
//! out. The gateway's shell carries the outputs out, and so does the simulation.

pub mod calls;
pub mod cursor;
pub mod failure;
pub mod lines;
pub mod memory;
pub mod moment;
pub mod origin;
pub mod outcomes;
pub mod pace;
pub mod payload;
pub mod pid;
pub mod posted;
pub mod room;
pub mod told;
pub mod tries;
pub mod turns;
pub mod typists;
pub mod views;

pub use failure::Failure;
pub use moment::Moment;
