//! How often somebody may do something: one token bucket per key in bounded memory.

mod budget;
mod flood;
mod keyed;
mod seats;
mod user;

pub use budget::{Budget, Holding, Taken};
pub use flood::Flood;
pub use keyed::Limiter;
pub use seats::SeatLimits;
pub use service_kit::rate::Rate;
pub use user::{UserLimits, UserRates};

#[cfg(test)]
mod tests;
