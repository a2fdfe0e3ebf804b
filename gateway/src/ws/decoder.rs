//! The streaming decoder: bytes of a client in, messages and control frames out.

use super::{
    close::parse_close,
    frame::{Header, Opcode, unmask},
    violation::Violation,
};
use bytes::{Bytes, BytesMut};
use std::{borrow::Cow, ops::Deref};

/// Fragments of one message, empty ones included: as many as npm's `ws` takes. A message of empty ones would never end.
const MAX_FRAGMENTS: usize = 16 * 1024;

/// Something whole that the client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A text message: UTF-8, checked.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Data<'a>),
    /// To be answered by a pong with the same payload.
    Ping(Data<'a>),
    /// An answer to a ping, or unsolicited.
    Pong,
    /// The closing handshake, with its code if it has one.
    Close(Option<u16>),
}

/// A payload: still where it was read, or taken out of the decoder.
#[derive(Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// In the caller's read buffer.
    Borrowed(&'a [u8]),
    /// It had to be put together from several reads or fragments.
    Owned(BytesMut),
}

impl<'a> Data<'a> {
    fn into_text(self) -> Result<Cow<'a, str>, Violation> {
        let text = match self {
            Self::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
            Self::Owned(bytes) => String::from_utf8(bytes.into()).map(Cow::Owned).map_err(|error| error.utf8_error()),
        };
        text.map_err(|_| Violation::InvalidUtf8)
    }

    /// The payload for keeps.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Self::Owned(bytes) => bytes.freeze(),
        }
    }
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Decodes what a client sends. Keeps only an incomplete frame and the fragments of an incomplete message: nothing
/// is allocated between messages.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes that were read but not decoded: one incomplete frame, or what the caller stashed.
    pending: BytesMut,
    fragments: Option<Box<Fragments>>,
}

/// A message whose last fragment is still to come.
#[derive(Debug)]
struct Fragments {
    is_text: bool,
    count: usize,
    /// Start of the part not yet known to be UTF-8: at most three bytes before the end.
    checked: usize,
    message: BytesMut,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new() -> Self {
        Self { pending: BytesMut::new(), fragments: None }
    }

    /// The next whole item out of what is pending and `read[*position..]`; `position` moves past what was taken.
    /// `None`: all of `read` was taken and more is needed. `limit` is the largest message in bytes.
    ///
    /// # Errors
    /// A violation; nothing after it can be decoded.
    pub fn next<'a>(
        &mut self,
        read: &'a mut [u8],
        position: &mut usize,
        limit: usize,
    ) -> Result<Option<Item<'a>>, Violation> {
        loop {
            let Some((header, payload)) = self.next_frame(read, position, limit)? else {
                return Ok(None);
            };
            // The borrow of `read` is only for the item returned: a fragment that completes nothing is copied.
            match payload {
                Place::Read(range) if header.completes_alone() => {
                    let payload = &mut read[range];
                    unmask(payload, header.mask);
                    return Self::whole(header.opcode, Data::Borrowed(payload)).map(Some);
                }
                Place::Read(range) => {
                    let payload = &mut read[range];
                    unmask(payload, header.mask);
                    if let Some(item) = self.fragment(header, payload, limit)? {
                        return Ok(Some(item));
                    }
                }
                Place::Taken(mut payload) => {
                    unmask(&mut payload, header.mask);
                    if header.completes_alone() {
                        return Self::whole(header.opcode, Data::Owned(payload)).map(Some);
                    }
                    if let Some(item) = self.fragment(header, &payload, limit)? {
                        return Ok(Some(item));
                    }
                }
            }
        }
    }

    /// Keeps `rest` to be decoded later, when the caller cannot take items now.
    pub fn stash(&mut self, rest: &[u8]) {
        self.pending.extend_from_slice(rest);
    }

    /// Bytes held back.
    pub fn buffered(&self) -> usize {
        self.pending.len() + self.fragments.as_ref().map_or(0, |fragments| fragments.message.len())
    }

    /// Bytes of memory that this takes.
    pub fn allocated(&self) -> usize {
        self.pending.capacity() + self.fragments.as_ref().map_or(0, |fragments| fragments.message.capacity())
    }

    /// The next complete frame: its header and where its payload lies.
    fn next_frame(
        &mut self,
        read: &[u8],
        position: &mut usize,
        limit: usize,
    ) -> Result<Option<(Header, Place)>, Violation> {
        if self.pending.is_empty() {
            let input = &read[*position..];
            if let Some(header) = self.checked_header(input, limit)? {
                let total = header.length + header.payload_len;
                if input.len() >= total {
                    let start = *position + header.length;
                    *position += total;
                    return Ok(Some((header, Place::Read(start..start + header.payload_len))));
                }
            }
            self.pending.extend_from_slice(input);
            *position = read.len();
            return Ok(None);
        }
        self.next_pending(read, position, limit)
    }

    /// The same out of the pending bytes, completed from `read` with no more than they lack.
    fn next_pending(
        &mut self,
        read: &[u8],
        position: &mut usize,
        limit: usize,
    ) -> Result<Option<(Header, Place)>, Violation> {
        loop {
            let header = self.checked_header(&self.pending, limit)?;
            let wanted = header.map_or(self.pending.len() + 1, |h| h.length + h.payload_len);
            if let Some(header) = header
                && self.pending.len() >= wanted
            {
                let mut payload = self.pending.split_to(wanted);
                if self.pending.is_empty() {
                    self.pending = BytesMut::new();
                }
                let payload = payload.split_off(header.length);
                return Ok(Some((header, Place::Taken(payload))));
            }
            let input = &read[*position..];
            if input.is_empty() {
                return Ok(None);
            }
            let taken = input.len().min(wanted - self.pending.len());
            self.pending.extend_from_slice(&input[..taken]);
            *position += taken;
        }
    }

    /// Reads a header and refuses it before its payload is waited for.
    fn checked_header(&self, input: &[u8], limit: usize) -> Result<Option<Header>, Violation> {
        let Some(header) = Header::parse(input)? else { return Ok(None) };
        if header.opcode.is_control() {
            return Ok(Some(header));
        }
        let is_continuation = header.opcode == Opcode::Continuation;
        if is_continuation != self.fragments.is_some() {
            return Err(Violation::FragmentOutOfPlace);
        }
        let before = self.fragments.as_ref().map_or(0, |fragments| fragments.message.len());
        if header.payload_len > limit - before {
            return Err(Violation::TooLarge);
        }
        Ok(Some(header))
    }

    /// A frame that is an item by itself.
    fn whole(opcode: Opcode, payload: Data<'_>) -> Result<Item<'_>, Violation> {
        Ok(match opcode {
            Opcode::Text => Item::Text(payload.into_text()?),
            Opcode::Binary | Opcode::Continuation => Item::Binary(payload),
            Opcode::Ping => Item::Ping(payload),
            Opcode::Pong => Item::Pong,
            Opcode::Close => Item::Close(parse_close(&payload)?),
        })
    }

    /// A fragment; gives the message if it was the last.
    fn fragment<'a>(&mut self, header: Header, payload: &[u8], limit: usize) -> Result<Option<Item<'a>>, Violation> {
        let fragments = self.fragments.get_or_insert_with(|| {
            let is_text = header.opcode == Opcode::Text;
            Box::new(Fragments { is_text, count: 0, checked: 0, message: BytesMut::new() })
        });
        fragments.count += 1;
        if fragments.count > MAX_FRAGMENTS {
            return Err(Violation::TooManyFragments);
        }
        debug_assert!(fragments.message.len() + payload.len() <= limit);
        fragments.message.extend_from_slice(payload);
        if fragments.is_text {
            fragments.check_text(header.fin)?;
        }
        if !header.fin {
            return Ok(None);
        }
        let Some(whole) = self.fragments.take() else { return Ok(None) };
        let message = Data::Owned(whole.message);
        let item = if whole.is_text { Item::Text(message.into_text()?) } else { Item::Binary(message) };
        Ok(Some(item))
    }
}

/// Where a frame's payload lies.
enum Place {
    Read(std::ops::Range<usize>),
    Taken(BytesMut),
}

impl Header {
    /// Whether the frame is an item by itself and not a part of one.
    fn completes_alone(&self) -> bool {
        self.fin && self.opcode != Opcode::Continuation
    }
}

impl Fragments {
    /// Checks the new bytes; a character may still be cut off at the end unless the message is complete.
    fn check_text(&mut self, complete: bool) -> Result<(), Violation> {
        match std::str::from_utf8(&self.message[self.checked..]) {
            Ok(_) => self.checked = self.message.len(),
            Err(error) if error.error_len().is_none() && !complete => {
                self.checked += error.valid_up_to();
            }
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
