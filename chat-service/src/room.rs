//! A match as one COMMIT sees it: which drafts become messages, which are repeats. Pure: rows go in, rows and results
//! come out.

use std::collections::HashMap;

use proto::{
    ClientId, MatchId, UserId,
    chat::{Code, Failure, Message, SendResult, Stored, send_result},
};

use crate::saved;

/// When what could not be stored may be sent again: a lost connection may be back by then.
const RETRY_UNAVAILABLE_MS: i64 = 250;

/// Who sends, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The sender: a member of the match.
    pub id: UserId,
    /// Hash of the sending socket.
    pub origin: Option<u64>,
    /// Whether the REST call saves it, so that a later event may name it.
    pub by_rest: bool,
}

/// A message that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The sender's own name for it.
    pub client_id: ClientId,
    /// Canonical JSON.
    pub body: String,
    /// The messages that an object names by its own ids: it may be one of them, saved by REST before.
    pub names: Vec<i64>,
}

/// A row of `messages`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The message.
    pub message: Message,
    /// Whether the REST call saved it.
    pub by_rest: bool,
}

/// The row of a match under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The seq of its newest message; 0 when there is none.
    pub last_seq: i64,
    /// Closed for good.
    pub closed: bool,
    /// The database's time, which its new messages get.
    pub now_ms: i64,
}

/// A match under lock, with the stored rows that the drafts of a batch may repeat.
#[derive(Debug)]
pub struct Room {
    id: MatchId,
    head: Head,
    known: HashMap<(UserId, ClientId), Row>,
    posted: Vec<Row>,
    repeated: Vec<Message>,
}

impl Room {
    /// The room of a match that stands at `head`.
    pub fn new(id: MatchId, head: Head) -> Self {
        Self { id, head, known: HashMap::new(), posted: Vec::new(), repeated: Vec::new() }
    }

    /// Adds a stored row that drafts may repeat.
    pub fn remember(&mut self, row: Row) {
        let sender = UserId::new(row.message.sender_id.as_str());
        let client_id = ClientId::new(row.message.client_id.as_str());
        if let (Ok(sender), Ok(client_id)) = (sender, client_id) {
            self.known.insert((sender, client_id), row);
        }
    }

    /// Takes a draft: a repeat is told from what is stored *before* a closed match refuses it.
    ///
    /// The clientId decides first: what was stored under it is repeated or refused. Only then may the object name what
    /// it is.
    pub fn post(&mut self, author: &Author, draft: &Draft) -> SendResult {
        let key = (author.id.clone(), draft.client_id.clone());
        let saved = self.saved_by_rest(&author.id, draft);
        let repeated = match self.known.get(&key) {
            Some(row) if row.message.body == draft.body => Some(row),
            Some(row) if saved.is_some_and(|saved| saved.message.seq == row.message.seq) => saved,
            Some(_) => return failure(Code::IdempotencyConflict),
            None => saved,
        };
        if let Some(row) = repeated {
            let message = row.message.clone();
            return self.repeat(message);
        }
        if self.head.closed {
            return failure(Code::MatchClosed);
        }
        let row = self.append(author, draft);
        let result = stored(&row.message, false);
        self.posted.push(row.clone());
        self.known.insert(key, row);
        result
    }

    /// The new rows in `seq` order, and the stored messages that were repeated.
    pub fn into_rows(self) -> (Vec<Row>, Vec<Message>) {
        (self.posted, self.repeated)
    }

    fn repeat(&mut self, message: Message) -> SendResult {
        let result = stored(&message, true);
        self.repeated.push(message);
        result
    }

    fn append(&mut self, author: &Author, draft: &Draft) -> Row {
        self.head.last_seq += 1;
        let message = Message {
            match_id: self.id.as_str().to_owned(),
            seq: self.head.last_seq,
            sender_id: author.id.as_str().to_owned(),
            client_id: draft.client_id.as_str().to_owned(),
            origin: author.origin,
            body: draft.body.clone(),
            created_at_ms: self.head.now_ms,
        };
        Row { message, by_rest: author.by_rest }
    }

    /// The row that the sender saved by REST and that the draft is.
    fn saved_by_rest(&self, sender: &UserId, draft: &Draft) -> Option<&Row> {
        let named = draft.names.iter().filter_map(|seq| self.known.values().find(|row| row.message.seq == *seq));
        let mut own = named.filter(|row| row.by_rest && row.message.sender_id == sender.as_str());
        own.find(|row| saved::is_repeat(&row.message, &draft.body))
    }
}

/// The result of a draft that was refused.
pub fn failure(code: Code) -> SendResult {
    failed(Failure { code: code.into(), ..Failure::default() })
}

/// The result of a draft that may succeed when it is sent again after `retry_after_ms`.
pub fn failure_for_now(code: Code, retry_after_ms: i64) -> SendResult {
    failed(Failure { code: code.into(), retry_after_ms: Some(retry_after_ms), ..Failure::default() })
}

/// The same, of a draft that is refused for what its sender sends, and not for what all send together.
pub fn failure_of_sender(code: Code, retry_after_ms: i64) -> SendResult {
    failed(Failure { code: code.into(), retry_after_ms: Some(retry_after_ms), of_sender: true })
}

fn failed(failure: Failure) -> SendResult {
    SendResult { result: Some(send_result::Result::Failure(failure)) }
}

/// The result of a draft whose outcome is unknown, or that nobody can store now.
pub fn unavailable() -> SendResult {
    failure_for_now(Code::Unavailable, RETRY_UNAVAILABLE_MS)
}

fn stored(message: &Message, duplicate: bool) -> SendResult {
    let stored = Stored {
        seq: message.seq,
        created_at_ms: message.created_at_ms,
        duplicate,
        client_id: message.client_id.clone(),
    };
    SendResult { result: Some(send_result::Result::Stored(stored)) }
}

#[cfg(test)]
mod tests;
