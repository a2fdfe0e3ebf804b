//! The chat application on the sockets: who is here, which chats they have open, what they say and what they hear.
//!
//! Commands go up per match: `commands` → `sends`, `joins`, `typing_commands` → `order`, and `call_commands` → `egress`. Events come
//! down per user: `inbox` → `delivery` → the user's sockets. `healing` fetches what was missed. What is decided of all this without IO and
//! clock stands apart (`session`, `room`, `given`, `cursor`, `lines`, `turns`, `told`, …), and is public for the simulation.

mod call_commands;
mod call_events;
mod commands;
mod connections;
mod context;
mod delivery;
mod feed;
mod given;
mod handover;
mod healing;
mod inbox;
mod joined;
mod joins;
mod order;
mod recovery;
mod reply;
mod seats;
mod sends;
mod session;
mod socket;
mod sweeper;
mod typing_commands;
mod users;

use gateway_core::{calls, cursor, lines, memory, pace, pid, room, turns};

pub use context::{Chat, Context};
pub use feed::{Announced, Posted};
pub use given::{Given, Viewer};
pub use inbox::Receiver;
pub use recovery::{MAX_MISSED, Recovery, resume};
pub use session::{JoinedChat, RecoveredChat, Resumed, Session};
pub use socket::Socket;
pub use sweeper::sweep;
pub use users::Users;
