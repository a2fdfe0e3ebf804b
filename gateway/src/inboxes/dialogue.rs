//! What is said on one link after its handshake: commands, and pings that prove that they were heard. Pure: no IO, no
//! clock.

use std::time::Duration;

use bytes::BytesMut;

use super::{lost::Lost, protocol};

/// How often [`Dialogue::tick`] is to be called.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// After so many ticks the server is asked whether it still lives.
const TICKS_PER_PING: u32 = 4;
/// After so many ticks without a word a server hangs: it owes the answers to pings. Ticks are counted, and not time, so
/// that a process that was stopped itself blames nobody.
const SILENT_TICKS: u32 = 10;
/// After so many ticks without a word a server hangs that a request had no answer from.
const SUSPECT_TICKS: u32 = 3;
/// A buffer that grew beyond this is not kept.
pub(super) const KEPT_BYTES: usize = 64 * 1024;

/// The outgoing side of a link, and what is known of the other side.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// What is to be written.
    pub(super) outgoing: BytesMut,
    ticks_since_word: u32,
    ticks_since_ping: u32,
    /// A request had no answer, and the server has said nothing since.
    is_suspect: bool,
    /// The commands of all subscriptions with a smaller number were said.
    said: u64,
    /// A ping is not answered yet; its answer proves the subscriptions with a smaller number. Never more than one.
    asked: Option<u64>,
    proven: u64,
}

impl Dialogue {
    /// Says commands, which cover all subscriptions below a number.
    pub(super) fn command(&mut self, commands: &[u8], below: u64) {
        self.outgoing.extend_from_slice(commands);
        self.said = below;
        if self.said > self.proven {
            self.ping();
        }
    }

    fn ping(&mut self) {
        if self.asked.is_none() {
            self.outgoing.extend_from_slice(protocol::PING);
            self.asked = Some(self.said);
            self.ticks_since_ping = 0;
        }
    }

    /// The server said something, whatever it is.
    pub(super) fn heard(&mut self) {
        self.ticks_since_word = 0;
        self.is_suspect = false;
    }

    /// A request had no answer. The server is asked whether it lives, and given up sooner.
    pub(super) fn suspect(&mut self) {
        if !std::mem::replace(&mut self.is_suspect, true) {
            self.ticks_since_word = 0;
            self.ping();
        }
    }

    /// The server wants to know whether we live.
    pub(super) fn answer_ping(&mut self) {
        self.outgoing.extend_from_slice(protocol::PONG);
    }

    /// The server answers; it has all subscriptions below the number returned.
    pub(super) fn answered(&mut self) -> u64 {
        self.proven = self.asked.take().unwrap_or(self.proven);
        if self.said > self.proven {
            self.ping();
        }
        self.proven
    }

    /// Whether the server has answered a ping after the first commands.
    pub(super) fn is_proven(&self) -> bool {
        self.proven > 0
    }

    /// Asks now and then, and gives up on a server that is silent.
    pub(super) fn tick(&mut self) -> Result<(), Lost> {
        self.ticks_since_word += 1;
        self.ticks_since_ping += 1;
        if self.ticks_since_word >= if self.is_suspect { SUSPECT_TICKS } else { SILENT_TICKS } {
            return Err(Lost::Silent);
        }
        if self.ticks_since_ping >= TICKS_PER_PING {
            self.ping();
        }
        Ok(())
    }

    /// All was written.
    pub(super) fn written(&mut self) {
        if self.outgoing.capacity() > KEPT_BYTES {
            self.outgoing = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(dialogue: &mut Dialogue) -> String {
        String::from_utf8(dialogue.outgoing.split().to_vec()).unwrap()
    }

    #[test]
    fn subscriptions_that_come_during_a_round_trip_share_the_next_one() {
        let mut dialogue = Dialogue::default();
        dialogue.command(b"SUB a 1\r\n", 2);
        assert_eq!(said(&mut dialogue), "SUB a 1\r\nPING\r\n");
        dialogue.command(b"SUB b 2\r\n", 3);
        dialogue.command(b"SUB c 3\r\n", 4);
        assert_eq!(said(&mut dialogue), "SUB b 2\r\nSUB c 3\r\n");
        assert!(!dialogue.is_proven());
        assert_eq!(dialogue.answered(), 2);
        assert!(dialogue.is_proven());
        assert_eq!(said(&mut dialogue), "PING\r\n");
        assert_eq!(dialogue.answered(), 4);
        assert_eq!(said(&mut dialogue), "");
    }

    #[test]
    fn unsubscribing_needs_no_proof() {
        let mut dialogue = Dialogue::default();
        dialogue.command(b"", 2);
        dialogue.answered();
        said(&mut dialogue);
        dialogue.command(b"UNSUB 1\r\n", 2);
        assert_eq!(said(&mut dialogue), "UNSUB 1\r\n");
    }

    #[test]
    fn a_server_that_answers_is_never_given_up() {
        let mut dialogue = Dialogue::default();
        for tick in 1..100 {
            assert_eq!(dialogue.tick(), Ok(()));
            let asked = if tick % TICKS_PER_PING == 0 { "PING\r\n" } else { "" };
            assert_eq!(said(&mut dialogue), asked);
            if !asked.is_empty() {
                dialogue.heard();
                dialogue.answered();
            }
        }
    }

    #[test]
    fn a_silent_server_is_asked_once_and_given_up_within_three_seconds() {
        let mut dialogue = Dialogue::default();
        let ticks = (1..100).find(|_| dialogue.tick().is_err()).unwrap();
        assert_eq!(TICK * ticks, Duration::from_millis(2_500));
        assert_eq!(said(&mut dialogue), "PING\r\n");
    }

    #[test]
    fn a_server_that_a_request_had_no_answer_from_is_given_up_within_a_second_unless_it_says_something() {
        let mut dialogue = Dialogue::default();
        let silent = |dialogue: &mut Dialogue| TICK * (1..100).find(|_| dialogue.tick().is_err()).unwrap();
        dialogue.tick().unwrap();
        dialogue.suspect();
        dialogue.suspect();
        assert_eq!(said(&mut dialogue), "PING\r\n");
        dialogue.heard();
        assert_eq!(silent(&mut dialogue), Duration::from_millis(2_500));
        dialogue.heard();
        dialogue.suspect();
        assert_eq!(silent(&mut dialogue), Duration::from_millis(750));
    }
}
