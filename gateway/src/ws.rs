//! WebSocket framing of the server's side (RFC 6455), without extensions.

mod close;
mod decoder;
mod frame;
mod handshake;
mod violation;

pub use close::encode_close;
pub use decoder::{Data, Decoder, Item};
pub use frame::{Opcode, encode_header};
pub use handshake::{HandshakeError, accept_key, upgrade_key};
pub use violation::{CloseCode, Violation};
