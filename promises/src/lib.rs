//! What the system is held to: observations of the clients of a match go in, broken promises come out. Pure.
//!
//! Load test, fault campaign and simulation all use it. A [`Chat`] checks one match while it is used, and forgets what
//! is settled. At the end it is concluded with what the database holds, or with what anybody has seen. What belongs to
//! no match, such as a request that is never answered, is counted by who sees it, in a [`Tally`].

mod author;
mod calls;
mod chat;
mod conclusion;
mod facts;
mod history;
mod page;
mod promise;
mod recent;
mod stored;
mod tag;
mod tally;
mod view;

pub use calls::ELSEWHERE;
pub use chat::{Chat, GUEST, Rules};
pub use facts::{MatchFacts, MilestoneRow, Row};
pub use history::{APP_SERVER, Entry, Event, Known, Reason, Route};
pub use page::{end_of_page, page};
pub use promise::Promise;
pub use tag::Tag;
pub use tally::{Count, Tally, Violation};

#[cfg(test)]
mod tests;
