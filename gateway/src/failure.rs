//! How a refusal comes about here and how REST shows it. What it is, and how sockets hear of it, is the core's.

mod problem;
mod upstream;

pub use gateway_core::failure::{Failure, Names};
pub use problem::{Problem, unrouted};
pub use upstream::{of_bus, of_status};

#[cfg(test)]
mod tests;
