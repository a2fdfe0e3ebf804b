//! How a client joins a chat, and reads its history.

use std::{rc::Rc, time::Duration};

use gateway_core::{
    output::Since,
    views::{self, MessageFields},
};
use promises::{Event, Promise, page};
use proto::client::command;
use serde_json::{Value, json};

use super::{
    Client, State,
    heard::{Answered, Changes, Heard},
    view::{AckedJoin, Asked},
};
use crate::promises::seq;

const JOIN_AGAIN: Duration = Duration::from_millis(500);
/// Messages of a page of history; few, so that the runs have several pages.
const PAGE: i32 = 4;

impl Client {
    pub(super) fn join(&self, chat: usize, keep_others: bool) {
        self.state.borrow_mut().wanted.insert(chat);
        // Who is not connected joins when it is.
        if self.state.borrow().is_connected {
            let known = |state: &State| (state.view.complete_to(chat), state.view.told_rev(chat));
            let (since_seq, since_rev) = known(&self.state.borrow());
            let argument = self.join_argument(chat, (since_seq, since_rev), keep_others);
            let ack = self.emit(command::JOIN_CHAT, &argument);
            let known = self.world.promises.known(chat);
            self.state.borrow_mut().joining.insert(ack, Asked { chat, since_seq, keep_others, known });
        }
    }

    pub(super) fn join_argument(
        &self,
        chat: usize,
        (since_seq, since_rev): (Option<i64>, i64),
        keep_others: bool,
    ) -> Value {
        json!({
            "matchId": self.id_of(chat), "sinceSeq": since_seq, "sinceRev": since_rev, "keepOthers": keep_others
        })
    }

    /// A join was answered.
    pub(super) fn hear_join(self: &Rc<Self>, asked: Asked, answer: Answered) {
        let Asked { chat, since_seq, keep_others, .. } = asked;
        match answer {
            Answered::Joined { last_seq, messages, has_more, milestones, changes } => {
                self.hear_changes(chat, &changes);
                self.hear_page(chat, (since_seq, changes.rev), &messages);
                let view = &mut self.state.borrow_mut().view;
                view.acked_joins.push(AckedJoin { asked, last_seq, rev: changes.rev, milestones });
                view.begin(chat, last_seq);
                // More follows, or this join left to paging what an earlier one would have given.
                if has_more || view.complete_to(chat) < Some(last_seq) {
                    self.spawn(async move |client| client.read_on(chat, last_seq).await);
                }
            }
            Answered::Failed { code, .. } if code.is_retryable() => {
                let client = Rc::clone(self);
                self.world.sim.after(JOIN_AGAIN, move || {
                    if client.state.borrow().wanted.contains(&chat) {
                        client.join(chat, keep_others);
                    }
                });
            }
            Answered::Failed { code, .. } => {
                self.note(chat, Event::JoinRefused { code });
                self.state.borrow_mut().wanted.remove(&chat);
            }
            other => self.check(Promise::Answered, false, || format!("joins and is answered {other:?}")),
        }
    }

    /// The socket has joined a chat.
    pub(super) fn joined(&self, chat: usize, cursor: String) {
        let mut state = self.state.borrow_mut();
        let acked = state.view.acked_joins.iter().position(|join| join.asked.chat == chat);
        let Some(index) = acked else {
            return self.check(Promise::Delivered, false, || format!("has joined {chat} before its ack"));
        };
        let AckedJoin { asked, last_seq, rev, milestones } = state.view.acked_joins.remove(index);
        let Asked { keep_others, known, .. } = asked;
        let is_kept = |other: &usize| keep_others || *other == chat;
        for other in state.view.joined.extract_if(.., |other| !is_kept(other)) {
            self.note(other, Event::Left);
        }
        state.wanted.retain(is_kept);
        let is_silent = state.view.typists.iter().all(|(of, _)| is_kept(of));
        self.check(Promise::Delivered, is_silent, || {
            format!("has left all chats but {chat} and still sees somebody type")
        });
        state.view.joined.insert(chat);
        state.view.tell_rev(chat, rev);
        state.offset = Some(cursor);
        let told = u16::try_from(milestones).unwrap_or(u16::MAX);
        self.note(chat, Event::Joined { last_seq: seq(last_seq), known, told });
    }

    /// What has changed of the messages that it has. If that was too much, it knows of nothing what it is now.
    fn hear_changes(&self, chat: usize, Changes { since, limited, .. }: &Changes) {
        let view = &mut self.state.borrow_mut().view;
        if *limited {
            view.forget_shown(chat);
        }
        let changes = since.iter().map(|change| Heard::read(change)).filter(|change| change.kind == "reactions");
        changes.filter(|_| !limited).for_each(|change| view.show(chat, &change, change.rev));
    }

    /// A page of history came, as a rev of the match shows it: the messages that follow `since_seq`.
    fn hear_page(&self, chat: usize, (since_seq, rev): (Option<i64>, i64), messages: &[String]) {
        let messages: Vec<Heard> = messages.iter().map(|message| Heard::read(message)).collect();
        let tags = messages.iter().map(|message| (seq(message.seq), message.tag(&self.world.cast)));
        page(since_seq.map_or(0, seq), tags, |event| self.note(chat, event));
        let view = &mut self.state.borrow_mut().view;
        for message in &messages {
            view.know(chat, message.seq);
            view.show(chat, message, rev);
        }
    }

    /// Reads the pages that follow the one in the ack.
    async fn read_on(&self, chat: usize, last_seq: i64) {
        loop {
            let Some(since) = self.state.borrow().view.complete_to(chat) else { return };
            if since >= last_seq {
                return;
            }
            let id = self.world.cast.chats[chat].id.clone();
            if let Ok(Some(page)) = self
                .replicas
                .read(|store| store.get_match(id, Since { seq: Some(since), rev: None, limit: PAGE }))
                .await
            {
                let shown = page.messages.iter().map(|message| views::message(message, MessageFields::Spread));
                let rev = page.r#match.as_ref().map_or(0, |of| of.rev);
                self.hear_page(chat, (Some(since), rev), &shown.collect::<Vec<_>>());
            } else {
                self.world.sim.sleep(JOIN_AGAIN).await;
            }
        }
    }
}
