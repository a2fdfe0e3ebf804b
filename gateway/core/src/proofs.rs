//! That a message is delivered needs no code of the client: who was given some is asked to prove that it has them.

use proto::MatchId;

use crate::{
    output::{Output, Timer},
    proving::Question,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Messages up to this one were given to a socket, and are on their way.
pub(crate) fn given<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, seq: i64, step: &mut Step<'_, L>) {
    if step.settings.receipts {
        socket.proving.given(chat, seq, step.at.now);
        ask(socket, step);
    }
}

/// Its client may be asked again.
pub(crate) fn go_on<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    socket.proving.timer_ran_out();
    ask(socket, step);
}

/// Its client has what it was asked for: that.
pub(crate) fn proved<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) -> Vec<(MatchId, i64)> {
    let proved = socket.proving.proved(step.at.now);
    ask(socket, step);
    proved
}

fn ask<L: Limits>(socket: &mut SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    step.out.extend(socket.proving.question(step.at.now).map(|question| match question {
        Question::Now => Output::Prove(socket.id),
        Question::After(wait) => Output::After(wait, Timer::Prove(socket.id)),
    }));
}
