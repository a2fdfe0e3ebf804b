//! The chat application on the sockets: who is here, which chats they have open, what they say and what they hear.
//!
//! Commands go up per match: `commands` → `sends`, `joins`, `typing_commands` → `order`, and `call_commands` → `egress`. Events come
//! down per user: `inbox` → `delivery` → the user's sockets. `healing` fetches what was missed. What is decided of all this without IO and
//! clock stands apart (`session`, `room`, `given`, `cursor`, `lines`, `turns`, `told`, …), and is public for the simulation.

mod call_commands;
mod call_events;
mod calls;
mod commands;
mod connections;
mod context;
mod cursor;
mod delivery;
mod feed;
mod given;
mod handover;
mod healing;
mod inbox;
mod joined;
mod joins;
mod lines;
mod memory;
mod order;
mod pid;
mod recovery;
mod reply;
mod room;
mod seats;
mod sends;
mod session;
mod socket;
mod sweeper;
mod told;
mod turns;
mod typing;
mod typing_commands;
mod users;

pub use context::{Chat, Context};
pub use cursor::{Position, read as read_cursor};
pub use feed::{Announced, Posted};
pub use given::{Given, Viewer};
pub use inbox::Receiver;
pub use lines::{Batch, Lines, Reach};
pub use pid::Pid;
pub use recovery::{MAX_MISSED, Recovery, resume};
pub use room::{Due, MAX_HELD, Room, Sequenced};
pub use session::{JoinedChat, MAX_JOINED, RecoveredChat, Resumed, Session};
pub use socket::Socket;
pub use sweeper::sweep;
pub use told::Told;
pub use turns::{MAX_WAITING, Turn, Turns, Weighted};
pub use users::Users;
