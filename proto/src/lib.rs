//! The contracts between the services and toward the clients: payloads, ids, subjects, streams, event names, codes.
//!
//! Nothing here behaves: what a service does with a payload is its own. Frozen-value tests guard the wire.

pub mod client;
pub mod code;
pub mod ids;
mod inbox_kind;
pub mod partition;
pub mod rfc3339;
pub mod streams;
pub mod subjects;

pub use code::Code;
pub use ids::{ClientId, IdError, MatchId, UserId};
pub use inbox_kind::InboxKind;

/// Messages and matches (`mindful.chat.v1`): what chat-service owns.
pub use generated::mindful::chat::v1 as chat;
/// What a user's gateways hear (`mindful.inbox.v1`).
pub use generated::mindful::inbox::v1 as inbox;
/// Progress toward milestones (`mindful.milestone.v1`).
pub use generated::mindful::milestone::v1 as milestone;
/// Calls (`mindful.signaling.v1`): what signaling-service owns.
pub use generated::mindful::signaling::v1 as signaling;

#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}

/// The encoded descriptors of all `.proto` files, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
