//! The bounds of a packet.

/// Deepest nesting of arrays and objects that an event's JSON may have; deeper ones arrive with
/// [`Event::too_deep`](super::Event::too_deep).
/// The packet's own argument array counts as the first level.
pub const MAX_JSON_DEPTH: usize = 32;

/// Most binary attachments of one packet; more close the connection.
pub const MAX_ATTACHMENTS: usize = 10;
