//! The client's side of the NATS protocol, as far as a connection needs it that only subscribes. Pure: bytes in, events
//! out.
//!
//! Source: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use std::{fmt::Write as _, io::Write as _};

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest line: `INFO` names all servers of a cluster, every other line is far shorter.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024;
/// The largest message, headers included: what the server's own documentation calls the most that makes sense.
pub(super) const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Something whole that the server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<'a> {
    /// What the server says of itself: first of all, and again when its cluster changes.
    Info(Box<Info>),
    /// A message of a subscription.
    Message(Message<'a>),
    /// To be answered by a `PONG`.
    Ping,
    /// The answer to a `PING`: everything sent before it was handled.
    Pong,
    /// A command was taken; only said to verbose clients.
    Ok,
    /// The server complains, and mostly closes the connection then.
    Error(&'a str),
}

/// A message of a subscription, still where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where it was published.
    pub subject: &'a str,
    /// Where its sender waits for an answer, if it does.
    pub reply: Option<&'a str>,
    /// Its headers, if it has any.
    pub headers: Headers<'a>,
    /// What was published.
    pub payload: &'a [u8],
}

/// The headers of a message as they came: `NATS/1.0`, then `Name: value` on a line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

/// What a server says of itself, as far as it matters here.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    /// Where clients reach the servers of the cluster: `host:port`.
    pub(super) connect_urls: Vec<String>,
    /// Lame duck mode: the server is about to go and wants its clients to leave.
    pub(super) ldm: bool,
    /// It goes on only under TLS.
    pub(super) tls_required: bool,
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Violation {
    /// A line beyond [`MAX_LINE_BYTES`].
    #[error("a line is too long")]
    LineTooLong,
    /// No operation that a server sends.
    #[error("an unknown operation")]
    UnknownOperation,
    /// An operation without what belongs to it.
    #[error("a malformed line")]
    MalformedLine,
    /// A message beyond [`MAX_MESSAGE_BYTES`].
    #[error("a message is too large")]
    TooLarge,
    /// A message does not end where its line says.
    #[error("a message has another length than was said")]
    WrongLength,
}

impl<'a> Headers<'a> {
    /// The status of a message that the server itself sends: it stands behind the version.
    pub(super) fn status(&self) -> Option<&'a str> {
        let line = self.0.split(|byte| *byte == b'\r').next()?;
        std::str::from_utf8(line).ok()?.strip_prefix(VERSION)?.split_ascii_whitespace().next()
    }

    /// The first value of a header. Names are compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        // The first line is the version.
        let mut lines = self.0.split(|byte| *byte == b'\n').skip(1);
        lines.find_map(|line| {
            let (found, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The first event of `input`, and how many bytes it takes. `None`: it is not all there yet.
///
/// # Errors
/// A violation; nothing after it can be read.
pub(super) fn parse(input: &[u8]) -> Result<Option<(Received<'_>, usize)>, Violation> {
    let Some(line_feed) = input.iter().take(MAX_LINE_BYTES).position(|byte| *byte == b'\n') else {
        return if input.len() < MAX_LINE_BYTES { Ok(None) } else { Err(Violation::LineTooLong) };
    };
    let start = line_feed + 1;
    let line = std::str::from_utf8(&input[..line_feed]).map_err(|_| Violation::MalformedLine)?.trim_ascii();
    let (operation, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let is = |name: &str| operation.eq_ignore_ascii_case(name);
    let received = if is("MSG") || is("HMSG") {
        return message(Announced::read(rest, is("HMSG"))?, input, start);
    } else if is("PING") {
        Received::Ping
    } else if is("PONG") {
        Received::Pong
    } else if is("INFO") {
        Received::Info(serde_json::from_str(rest).map_err(|_| Violation::MalformedLine)?)
    } else if is("+OK") {
        Received::Ok
    } else if is("-ERR") {
        Received::Error(rest.trim_ascii().trim_matches('\''))
    } else {
        return Err(Violation::UnknownOperation);
    };
    Ok(Some((received, start)))
}

/// What the line of a message says.
struct Announced<'a> {
    subject: &'a str,
    reply: Option<&'a str>,
    headers: usize,
    total: usize,
}

impl<'a> Announced<'a> {
    /// `subject sid [reply-to] [bytes of headers] bytes in all`.
    fn read(line: &'a str, has_headers: bool) -> Result<Self, Violation> {
        let (mut fields, mut count) = ([""; 5], 0);
        for field in line.split_ascii_whitespace() {
            *fields.get_mut(count).ok_or(Violation::MalformedLine)? = field;
            count += 1;
        }
        let (subject, reply, sizes) = match (has_headers, &fields[..count]) {
            (false, [subject, _, total]) => (subject, None, ["0", total]),
            (false, [subject, _, reply, total]) => (subject, Some(*reply), ["0", total]),
            (true, [subject, _, headers, total]) => (subject, None, [*headers, total]),
            (true, [subject, _, reply, headers, total]) => (subject, Some(*reply), [*headers, total]),
            _ => return Err(Violation::MalformedLine),
        };
        let [headers, total] = sizes.map(|size| size.parse::<u32>().map_err(|_| Violation::MalformedLine));
        let (headers, total) = (headers? as usize, total? as usize);
        if headers > total {
            return Err(Violation::MalformedLine);
        }
        if total > MAX_MESSAGE_BYTES {
            return Err(Violation::TooLarge);
        }
        Ok(Self { subject, reply, headers, total })
    }
}

fn message<'a>(
    Announced { subject, reply, headers, total }: Announced<'a>,
    input: &'a [u8],
    start: usize,
) -> Result<Option<(Received<'a>, usize)>, Violation> {
    let end = start + total;
    let Some(ending) = input.get(end..end + 2) else { return Ok(None) };
    if ending != b"\r\n" {
        return Err(Violation::WrongLength);
    }
    let (headers, payload) = input[start..end].split_at(headers);
    let message = Message { subject, reply, headers: Headers(headers), payload };
    Ok(Some((Received::Message(message), end + 2)))
}

/// How headers begin.
const VERSION: &str = "NATS/1.0";
/// The status that says that nobody serves a subject.
pub(super) const NO_RESPONDERS: &str = "503";
/// What ends a payload.
pub(super) const END: &[u8] = b"\r\n";
/// Asks the server, or answers it.
pub(super) const PING: &[u8] = b"PING\r\n";
/// Answers the server's `PING`.
pub(super) const PONG: &[u8] = b"PONG\r\n";

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol has them")]
struct Connect<'a> {
    name: &'a str,
    lang: &'a str,
    version: &'a str,
    /// 1: the server may send `INFO` at any time.
    protocol: u8,
    verbose: bool,
    pedantic: bool,
    headers: bool,
    /// A request that nobody serves is answered at once.
    no_responders: bool,
}

/// Writes a `CONNECT` of a client with this name.
pub(super) fn connect(out: &mut Vec<u8>, name: &str) {
    let connect = Connect {
        name,
        lang: "rust",
        version: env!("CARGO_PKG_VERSION"),
        protocol: 1,
        verbose: false,
        pedantic: false,
        headers: true,
        no_responders: true,
    };
    out.extend_from_slice(b"CONNECT ");
    // A struct of strings and flags can always be written, and a vector takes it.
    let _ = serde_json::to_writer(&mut *out, &connect);
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before the payload of a request: a `PUB`, or an `HPUB` and its headers. `headers` are whole lines.
/// The subject of the answer is made of a prefix and a number.
pub(super) fn announce(
    out: &mut BytesMut,
    subject: &str,
    (prefix, number): (&str, u64),
    (headers, length): (&str, usize),
) {
    // A buffer takes all.
    let _ = if headers.is_empty() {
        write!(out, "PUB {subject} {prefix}{number} {length}\r\n")
    } else {
        let headed = VERSION.len() + headers.len() + 2 * END.len();
        let total = headed + length;
        write!(out, "HPUB {subject} {prefix}{number} {headed} {total}\r\n{VERSION}\r\n{headers}\r\n")
    };
}

/// Writes a `SUB`.
pub(super) fn subscribe(out: &mut Vec<u8>, subject: &str, sid: u64) {
    // A vector takes all.
    let _ = write!(out, "SUB {subject} {sid}\r\n");
}

/// Writes an `UNSUB`.
pub(super) fn unsubscribe(out: &mut Vec<u8>, sid: u64) {
    let _ = write!(out, "UNSUB {sid}\r\n");
}

#[cfg(test)]
mod tests;
