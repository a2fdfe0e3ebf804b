//! What a socket's client has to prove that it has: messages that were given to it. That a message is delivered needs no
//! code of the client.

use std::time::{Duration, Instant};

use proto::MatchId;

use crate::{
    output::{Output, Timer},
    socket_state::SocketState,
    step::{Limits, Step},
};

/// How often a client is asked at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was given and is not proved; mostly nothing, and then it is one word.
#[derive(Debug, Default)]
pub(crate) struct Proving(Option<Box<Asked>>);

#[derive(Debug)]
struct Asked {
    /// What the proof that is awaited is of. Empty: none is awaited.
    of: Vec<(MatchId, i64)>,
    /// What was given since.
    since: Vec<(MatchId, i64)>,
    /// When the next question may come.
    next: Instant,
    /// Whether a timer says so.
    is_timed: bool,
}

impl Proving {
    /// A message was given.
    fn given(&mut self, chat: &MatchId, seq: i64, now: Instant) {
        let asked = self
            .0
            .get_or_insert_with(|| Box::new(Asked { of: Vec::new(), since: Vec::new(), next: now, is_timed: false }));
        match asked.since.iter_mut().find(|(given, _)| given == chat) {
            Some((_, highest)) => *highest = seq.max(*highest),
            None => asked.since.push((chat.clone(), seq)),
        }
    }
}

/// A message was given to a socket: its client is to prove that it has it.
pub(crate) fn given<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, seq: i64, step: &mut Step<'_, L>) {
    if step.settings.receipts {
        socket.proving.given(chat, seq, step.at.now);
    }
}

/// Asks for the proof of what was given, if none is awaited and the last question is long enough ago. To be called when
/// everything is emitted.
pub(crate) fn ask<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    let Some(asked) = &mut socket.proving.0 else { return };
    if !asked.of.is_empty() || asked.since.is_empty() {
        return;
    }
    let wait = asked.next.saturating_duration_since(step.at.now);
    if wait.is_zero() {
        asked.of = std::mem::take(&mut asked.since);
        asked.next = step.at.now + INTERVAL;
        step.out.push(Output::Prove(socket.id));
    } else if !std::mem::replace(&mut asked.is_timed, true) {
        step.out.push(Output::After(wait, Timer::Prove(socket.id)));
    }
}

/// It may be asked again.
pub(crate) fn go_on<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    if let Some(asked) = &mut socket.proving.0 {
        asked.is_timed = false;
    }
    ask(socket, step);
}

/// The client has what it was asked for. Returns that.
pub(crate) fn proved<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) -> Vec<(MatchId, i64)> {
    let proved = socket.proving.0.as_mut().map(|asked| std::mem::take(&mut asked.of)).unwrap_or_default();
    ask(socket, step);
    let is_over = |asked: &mut Box<Asked>| asked.since.is_empty() && asked.of.is_empty() && asked.next <= step.at.now;
    socket.proving.0.take_if(is_over);
    proved
}
