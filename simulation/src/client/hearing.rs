//! What a client hears, held against what it knows.

use std::rc::Rc;

use promises::{Event, Promise};
use proto::client::{both, event};

use super::{
    Client,
    heard::{Answered, Heard},
};
use crate::{cast::ord, pipe::Down, promises::seq};

impl Client {
    pub(super) fn hear(self: &Rc<Self>, down: Down) {
        self.world.sim.trace(|| format!("{} hears {down:?}", self.name));
        match down {
            Down::Connected { .. } | Down::Event { name: event::SERVER_DRAINING, .. } => {}
            Down::Ack { ack, json } => self.hear_ack(ack, Answered::read(&json)),
            Down::Event { name, json, cursor } => {
                let heard = Heard::read(&json);
                let chat = heard.chat(&self.world.cast);
                let is_own = chat.is_some_and(|chat| self.is_member(chat) || self.may_hear(chat, name, &heard));
                self.check(Promise::Secret, is_own, || format!("hears {name} {json}"));
                self.hear_event(name, chat.unwrap_or_default(), &heard, cursor);
            }
        }
    }

    /// A guest may hear of a message if it was a member at any time since. So it does when its gateway has missed that
    /// it was out meanwhile, or when a message is told again.
    fn may_hear(&self, chat: usize, name: &str, heard: &Heard) -> bool {
        let is_message = [event::RECEIVE_MESSAGE, event::INBOX_UPDATED].contains(&name);
        let (id, user) = (&self.world.cast.chats[chat].id, &self.world.cast.users[self.user]);
        let seq = heard.seq.max(heard.last_seq);
        self.is_guest(chat) && (!is_message || self.world.store.may_have_read(id, user, seq))
    }

    fn hear_ack(self: &Rc<Self>, ack: u64, answer: Answered) {
        let mut state = self.state.borrow_mut();
        let (join, waiting) = (state.joining.remove(&ack), state.waiting.remove(&ack));
        drop(state);
        if let Some(asked) = join {
            self.hear_join(asked, answer);
        } else if let Some(waiting) = waiting {
            waiting.give(answer);
        }
    }

    fn hear_event(&self, name: &'static str, chat: usize, heard: &Heard, cursor: String) {
        match name {
            event::RECEIVE_MESSAGE => self.received(chat, heard, cursor),
            event::MILESTONE_REACHED => self.reached(chat, heard, cursor),
            event::MESSAGE_CHANGED => self.message_changed(chat, heard, cursor),
            event::CHAT_JOINED => self.joined(chat, cursor),
            event::CHAT_LEFT => self.left(chat, Event::Left, cursor),
            event::MATCH_CLOSED => {
                let is_removed = heard.reason.as_deref() == Some("removed");
                self.left(chat, if is_removed { Event::ToldRemoved } else { Event::ToldClosed }, cursor);
                self.state.borrow_mut().wanted.remove(&chat);
            }
            event::MEMBERSHIP_CHANGED => self.members_changed(chat, heard, cursor),
            event::USER_TYPING => self.typing(chat, heard),
            event::VIDEO_CALL_INCOMING | both::VIDEO_CALL_ENDED => self.called(name, heard, cursor),
            _ => {}
        }
    }

    /// Who has the chat open is told with a cursor. Who was added joins.
    fn members_changed(&self, chat: usize, heard: &Heard, cursor: String) {
        if !cursor.is_empty() {
            let mut state = self.state.borrow_mut();
            state.offset = Some(cursor);
            state.view.changed(chat, heard.after_seq);
        } else if heard.added.iter().any(|user| user == self.world.cast.users[self.user].as_str()) {
            self.join(chat, true);
        }
    }

    fn typing(&self, chat: usize, heard: &Heard) {
        let view = &mut self.state.borrow_mut().view;
        let typist = (chat, heard.user_id.clone());
        if heard.is_typing {
            self.check(Promise::Delivered, view.is_joining(chat), || format!("sees typing in {chat}"));
            view.typists.insert(typist);
        } else {
            view.typists.remove(&typist);
        }
    }

    fn called(&self, name: &'static str, heard: &Heard, cursor: String) {
        let mut state = self.state.borrow_mut();
        state.offset = Some(cursor);
        let is_first = state.view.calls.insert((heard.call_id.clone(), name));
        if name == both::VIDEO_CALL_ENDED {
            state.view.missed_ends.remove(&heard.call_id);
        }
        self.check(Promise::Delivered, is_first, || format!("is told {name} of {} twice", heard.call_id));
    }

    /// The socket has left a chat: nobody is shown as typing there.
    fn left(&self, chat: usize, event: Event, cursor: String) {
        self.note(chat, event);
        let mut state = self.state.borrow_mut();
        state.view.joined.remove(&chat);
        if !cursor.is_empty() {
            state.offset = Some(cursor);
        }
        let is_silent = state.view.typists.iter().all(|(of, _)| *of != chat);
        self.check(Promise::Delivered, is_silent, || format!("has left {chat} and still sees somebody type"));
    }

    fn received(&self, chat: usize, heard: &Heard, cursor: String) {
        self.note(chat, Event::Received { tag: heard.tag(&self.world.cast), seq: seq(heard.seq) });
        let mut state = self.state.borrow_mut();
        state.offset = Some(cursor);
        let changed_after = state.view.changed_after(chat);
        self.check(Promise::Delivered, heard.seq > changed_after, || {
            format!("is given {} of {chat} after a change that follows {changed_after}", heard.seq)
        });
        state.view.know(chat, heard.seq);
        let told = state.view.told_rev(chat);
        state.view.show(chat, heard, told);
    }

    /// Who has the chat open is told with a cursor.
    fn reached(&self, chat: usize, heard: &Heard, cursor: String) {
        self.note(chat, Event::Milestone { ord: ord(heard.milestone) });
        if !cursor.is_empty() {
            let mut state = self.state.borrow_mut();
            state.offset = Some(cursor);
            let after_seq = self.world.store.recorded_after(&self.world.cast.chats[chat].id, heard.milestone);
            state.view.changed(chat, after_seq.unwrap_or_default());
            self.check(Promise::Milestones, state.view.joined.contains(&chat), || {
                format!("is told of a milestone as if it had joined {chat}")
            });
        }
    }
}
