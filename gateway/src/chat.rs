//! The chat application on the sockets: who is here, which chats they have open, what they say and what they hear.
//!
//! Commands go up per match: `commands` → `sends`, `joins`, `call_commands` → `egress`. Events come down per user:
//! `inbox` → `delivery` → the user's sockets. `healing` fetches what was missed.

mod call_commands;
mod call_events;
mod calls;
mod commands;
mod connections;
mod context;
mod cursor;
mod delivery;
mod feed;
mod healing;
mod inbox;
mod joined;
mod joins;
mod memory;
mod pid;
mod recovery;
mod reply;
mod room;
mod sends;
mod session;
mod socket;
mod sweeper;
mod told;
mod turns;
mod typing;
mod users;

pub use context::{Chat, Context};
pub use inbox::Receiver;
pub use socket::Socket;
pub use sweeper::sweep;
pub use users::Users;
