//! What comes back to the core: answers of services, and timers that have run out.

use crate::{
    call_line, healing, lease, live_call, marked, order,
    output::{Answer, CallFor, SharingFor, Timer},
    proofs, receipts, refresh_token, sharing,
    step::{Limits, Step},
    sync, watch_presence,
};

use super::User;

impl<T> User<T> {
    /// A service has answered.
    pub fn answered<L: Limits<Ticket = T>>(&mut self, answer: Answer, step: &mut Step<'_, L>) {
        match answer {
            Answer::Sent(turn, reply) => {
                self.with(turn.socket, step, |socket, step| order::sent(socket, turn.number, reply, step));
            }
            Answer::Changed(turn, done) => {
                self.with(turn.socket, step, |socket, step| order::changed(socket, turn.number, done, step));
            }
            Answer::Marked(chat, marked) => {
                let marks = &mut self.marks;
                step.contained(|step| marked::answered(marks, &chat, &marked, step));
            }
            Answer::Receipts(id, found) => self.with(id, step, |_, step| receipts::found(id, found, step)),
            Answer::Sharing(id, of, found) => self.with(id, step, |socket, step| match of {
                SharingFor::Watch { reply, chats, number } => {
                    watch_presence::end(socket, (&reply, &chats, number), found, step);
                }
                SharingFor::Known { tries } => sharing::found(socket, tries, found, step),
            }),
            Answer::Opened(turn, opened) => {
                self.with(turn.socket, step, |socket, step| order::opened(socket, turn.number, opened, step));
            }
            Answer::Messages(id, chat, fetched) => {
                self.with(id, step, |socket, step| healing::fetched_messages(socket, &chat, fetched, step));
            }
            Answer::Changes(id, chat, fetched) => {
                self.with(id, step, |socket, step| healing::fetched_changes(socket, &chat, fetched, step));
            }
            Answer::Heads(heads) => heads.iter().for_each(|head| self.head(head, step)),
            Answer::Called(id, of, called) => {
                self.with(id, step, |socket, step| match of {
                    CallFor::Lease(call_id, chat) => lease::renewed(socket, (call_id, chat), &called, step),
                    CallFor::Command | CallFor::Newcomer(_) => call_line::called(socket, called, step),
                });
            }
            Answer::CallFound(id, of, found) => {
                self.with(id, step, |socket, step| match (of, found) {
                    (CallFor::Newcomer(tries), found) => live_call::found(socket, found, (tries, step)),
                    (_, found) => call_line::found(socket, found, step),
                });
            }
            Answer::Synced(id, reply, synced) => {
                self.with(id, step, |socket, step| sync::end(socket, &reply, synced, step));
            }
            Answer::Identified(id, reply, identified) => {
                self.with(id, step, |socket, step| refresh_token::end(socket, &reply, identified, step));
            }
        }
        self.tidy();
    }

    /// A timer has run out.
    pub fn wake<L: Limits<Ticket = T>>(&mut self, timer: Timer, step: &mut Step<'_, L>) {
        match timer {
            Timer::Heal(id, chat) => self.with(id, step, |socket, step| healing::go_on(socket, &chat, step)),
            Timer::Prove(id) => self.with(id, step, proofs::go_on),
            Timer::Mark(chat) => self.marks.go_on(&chat, step),
            Timer::Sharing(id, tries) => self.with(id, step, |socket, step| sharing::ask(socket, tries, step)),
            Timer::OwnIsLate(turn) => {
                self.with(turn.socket, step, |socket, step| order::own_is_late(socket, turn.number, step));
            }
            Timer::TakeOver(id) => self.with(id, step, call_line::look_again),
            Timer::FindCalls(id, tries) => self.with(id, step, |socket, step| live_call::find(socket, tries, step)),
            Timer::Renew(id, call_id, chat) => {
                self.with(id, step, |socket, step| lease::renew(socket, &call_id, &chat, step));
            }
            Timer::CallIsLost(id, call_id, chat) => {
                self.with(id, step, |socket, step| lease::tell_lost(socket, call_id, &chat, step));
            }
        }
        self.tidy();
    }
}
