//! What one COMMIT carries: the drafts of many requests and matches, decided together. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use prost::Message as _;
use proto::{
    MatchId,
    chat::{Code, Message, SendResult},
};

use crate::room::{Author, Draft, Room, Row, failure};

/// An inbox event must fit a NATS message (1 MB by default) with room to spare.
const MAX_RUN_BYTES: usize = 512 * 1024;

/// Drafts of one sender in one match, in order. The sender is known to be a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The match.
    pub match_id: MatchId,
    /// Who sends.
    pub author: Author,
    /// What is sent.
    pub drafts: Vec<Draft>,
}

/// Rows that the drafts of a batch may repeat, as the keys to look them up by.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys<'a> {
    /// (match, sender, clientId).
    pub by_client_id: BTreeSet<(&'a str, &'a str, &'a str)>,
    /// (match, seq).
    pub by_seq: BTreeSet<(&'a str, i64)>,
}

/// What a batch comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Decision {
    /// One result per draft, per request.
    pub results: Vec<Vec<SendResult>>,
    /// The rows to insert: match by match, in `seq` order.
    pub rows: Vec<Row>,
    /// Stored messages that drafts repeat.
    pub repeated: Vec<Message>,
}

/// All matches of a batch, in the order in which they are locked.
pub fn matches<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeSet<&'a MatchId> {
    requests.into_iter().map(|request| &request.match_id).collect()
}

/// The jobs by match, each match's in their order: what becomes of a batch that cannot be committed as a whole.
pub fn by_match<J>(jobs: Vec<J>, request: impl Fn(&J) -> &Request) -> Vec<Vec<J>> {
    let mut matches: BTreeMap<MatchId, Vec<J>> = BTreeMap::new();
    for job in jobs {
        matches.entry(request(&job).match_id.clone()).or_default().push(job);
    }
    matches.into_values().collect()
}

/// How far each match's head moves if no draft repeats a stored row; `None` when no unique key would tell of it,
/// because a draft names a message.
pub fn advances(requests: &[&Request]) -> Option<BTreeMap<MatchId, i64>> {
    let mut fresh = HashSet::new();
    let mut advances = BTreeMap::new();
    for request in requests {
        for draft in &request.drafts {
            if !draft.names.is_empty() {
                return None;
            }
            if fresh.insert((&request.match_id, &request.author.id, &draft.client_id)) {
                *advances.entry(request.match_id.clone()).or_default() += 1;
            }
        }
    }
    Some(advances)
}

/// The keys under which the drafts may be stored already.
pub fn keys<'a>(requests: &[&'a Request]) -> Keys<'a> {
    let mut keys = Keys::default();
    for request in requests {
        let (id, sender) = (request.match_id.as_str(), request.author.id.as_str());
        for draft in &request.drafts {
            keys.by_client_id.insert((id, sender, draft.client_id.as_str()));
            keys.by_seq.extend(draft.names.iter().map(|seq| (id, *seq)));
        }
    }
    keys
}

/// Takes all drafts in order, each in its room. A match without a room does not exist.
pub fn decide(requests: &[&Request], mut rooms: BTreeMap<MatchId, Room>) -> Decision {
    let results = requests.iter().map(|request| match rooms.get_mut(&request.match_id) {
        Some(room) => request.drafts.iter().map(|draft| room.post(&request.author, draft)).collect(),
        None => vec![failure(Code::MatchNotFound); request.drafts.len()],
    });
    let mut decision = Decision { results: results.collect(), ..Decision::default() };
    for room in rooms.into_values() {
        let (rows, repeated) = room.into_rows();
        decision.rows.extend(rows);
        decision.repeated.extend(repeated);
    }
    decision
}

/// The messages as events carry them: each run of one match, ascending, without gaps, and of a size that NATS takes.
pub fn runs(mut messages: Vec<Message>) -> Vec<Vec<Message>> {
    messages.sort_by(|a, b| (&a.match_id, a.seq).cmp(&(&b.match_id, b.seq)));
    messages.dedup_by(|a, b| (&a.match_id, a.seq) == (&b.match_id, b.seq));
    let mut runs: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = message.encoded_len();
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| follows(&message, last)) && bytes + size <= MAX_RUN_BYTES => {
                bytes += size;
                run.push(message);
            }
            _ => {
                bytes = size;
                runs.push(vec![message]);
            }
        }
    }
    runs
}

fn follows(message: &Message, last: &Message) -> bool {
    message.match_id == last.match_id && message.seq == last.seq + 1
}

#[cfg(test)]
mod tests;
