//! Stores messages of one sender. What was stored before is a repeat and stored no second time.

use proto::{
    MatchId,
    chat::{Code, SendResult},
};
use service_kit::mutation::{self, Mutation};

use super::{Advances, Command, Wanted};
use crate::{
    digest::digest,
    may::Action,
    outcome::{Outcome, Refusal},
    room::{Author, Draft, Room},
    saved,
    send_result::{failure, stored, unavailable},
    stored::Row,
};

/// Drafts of one sender in one match, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessages {
    /// The match.
    pub match_id: MatchId,
    /// Who sends.
    pub author: Author,
    /// What is sent.
    pub drafts: Vec<Draft>,
}

impl Command for SendMessages {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn rows(&self) -> usize {
        self.drafts.len()
    }

    fn bytes(&self) -> usize {
        self.drafts.iter().map(|draft| draft.body.len()).sum()
    }

    /// A draft that names a message, or answers one, must be compared with what is stored: no unique key would tell.
    fn advance<'a>(&'a self, advances: &mut Advances<'a>) -> bool {
        for draft in &self.drafts {
            advances.add(&self.match_id, &self.author.id, &draft.client_id);
        }
        self.drafts.iter().all(|draft| draft.names.is_empty() && draft.reply_to.is_none())
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        if mutation::is_broken(Mutation::NoDedupe) {
            return;
        }
        let (id, sender) = (self.match_id.as_str(), self.author.id.as_str());
        for draft in &self.drafts {
            wanted.by_client_id.insert((id, sender, draft.client_id.as_str()));
            wanted.by_seq.extend(draft.names.iter().map(|seq| (id, *seq)));
        }
    }

    fn decide(&self, room: &mut Room) -> Outcome {
        Outcome::Sent(self.drafts.iter().map(|draft| self.post(draft, room)).collect())
    }

    fn refuse(&self, refusal: Refusal) -> Outcome {
        let result = match refusal {
            Refusal::NoMatch => failure(Code::MatchNotFound),
            Refusal::Unavailable => unavailable(),
            _ => failure(Code::Internal),
        };
        Outcome::Sent(vec![result; self.drafts.len()])
    }

    fn piece(&self, index: usize) -> Option<Box<dyn Command>> {
        let Self { match_id, author, drafts } = self;
        let drafts = vec![drafts.get(index)?.clone()];
        Some(Box::new(Self { match_id: match_id.clone(), author: author.clone(), drafts }))
    }
}

impl SendMessages {
    /// Takes a draft: a repeat is told from what is stored *before* a closed match refuses it.
    ///
    /// The clientId decides first: what was stored under it is repeated or refused. Only then may the object name what
    /// it is.
    fn post(&self, draft: &Draft, room: &mut Room) -> SendResult {
        if let Err(code) = room.may(&self.author.id, Action::Read) {
            return failure(code);
        }
        let saved = self.saved_by_rest(draft, room);
        let repeated = match room.message(&self.author.id, &draft.client_id) {
            Some(row) if is_same(row, draft) => Some(row),
            Some(row) if saved.is_some_and(|saved| saved.message.seq == row.message.seq) => saved,
            Some(_) => return failure(Code::IdempotencyConflict),
            None => saved,
        };
        if let Some(row) = repeated {
            let message = row.message.clone();
            let result = stored(&message, true);
            room.repeat_message(message);
            return result;
        }
        if let Err(code) = room.may(&self.author.id, Action::Send) {
            return failure(code);
        }
        let is_there = |seq| seq <= room.head().last_seq && room.audience().sees_message(&self.author.id, seq);
        if draft.reply_to.is_some_and(|seq| !is_there(seq)) {
            return failure(Code::MessageNotFound);
        }
        stored(room.add_message(&self.author, draft), false)
    }

    /// The row that the sender saved by REST and that the draft is.
    fn saved_by_rest<'a>(&self, draft: &Draft, room: &'a Room) -> Option<&'a Row> {
        let mut named = draft.names.iter().filter_map(|seq| room.message_at(*seq));
        let is_own = |row: &&Row| row.by_rest && row.message.sender_id == self.author.id.as_str();
        let is_repeat = |row: &&Row| match &row.original {
            Some(original) => saved::is_repeat_of(original, &draft.body),
            None => saved::is_repeat(&row.message, &draft.body),
        };
        named.find(|row| is_own(row) && is_repeat(row))
    }
}

/// Whether the draft is what was stored, whatever has become of that since.
fn is_same(row: &Row, draft: &Draft) -> bool {
    let has_same_body = match &row.original {
        Some(original) => *original == digest(&[&draft.body]),
        None => row.message.body == draft.body,
    };
    has_same_body && row.message.reply_to == draft.reply_to
}

#[cfg(test)]
mod tests;
