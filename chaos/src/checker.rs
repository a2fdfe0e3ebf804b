//! Holds what the crowd saw against the promises. Pure: entries and rows go in, violations come out.
//!
//! A [`Chat`] checks one match while it is used, and forgets what is settled; at the end it is concluded with what the
//! database holds. What no match has, such as unanswered emits, is counted by who sees it, in a [`Tally`].

mod author;
pub(crate) mod calls;
mod chat;
mod conclusion;
mod recent;
mod stored;
mod tally;
mod view;

pub use chat::{Chat, MILESTONE};
pub use tally::{Count, Promise, Tally, Violation};

#[cfg(test)]
mod tests;
