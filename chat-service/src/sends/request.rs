//! From the wire's request to one whose ids are valid. The gateway has checked all this: it is the second line.

use proto::{
    ClientId, MatchId, UserId,
    chat::{self, Code, SendRequest},
};

use crate::{
    command::SendMessages,
    room::{Author, Draft},
    saved,
};

/// More than a gateway ever sends at once.
const MAX_DRAFTS: usize = 200;
/// The largest object that clients may send is 16 KiB; escapes may make it longer.
const MAX_BODY_BYTES: usize = 128 * 1024;

/// The drafts that may be stored, and what is wrong with the others, by their place in the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) send: SendMessages,
    pub(super) refused: Vec<(usize, Code)>,
}

/// A malformed draft fails alone, a malformed id the whole request.
pub(super) fn parse(request: SendRequest) -> Result<Parsed, Code> {
    let match_id = MatchId::new(request.match_id).map_err(|_| Code::InvalidPayload)?;
    let sender = UserId::new(request.sender_id).map_err(|_| Code::InvalidPayload)?;
    if request.drafts.len() > MAX_DRAFTS {
        return Err(Code::InvalidPayload);
    }
    let author = Author { id: sender, origin: request.origin, by_rest: request.by_rest };
    let (mut drafts, mut refused) = (Vec::with_capacity(request.drafts.len()), Vec::new());
    for (index, draft) in request.drafts.into_iter().enumerate() {
        match parse_draft(draft, &match_id) {
            Some(draft) => drafts.push(draft),
            None => refused.push((index, Code::InvalidPayload)),
        }
    }
    Ok(Parsed { send: SendMessages { match_id, author, drafts }, refused })
}

fn parse_draft(draft: chat::Draft, id: &MatchId) -> Option<Draft> {
    let client_id = ClientId::new(draft.client_id).ok()?;
    // PostgreSQL's text holds no NUL, and JSON never does.
    let storable = !draft.body.is_empty() && draft.body.len() <= MAX_BODY_BYTES && !draft.body.contains('\0');
    let may_name = draft.saved_as.is_some_and(|name| name.starts_with(id.as_str()));
    let names = if may_name { saved::seqs_named_by(&draft.body, id) } else { Vec::new() };
    let is_seq = draft.reply_to.is_none_or(|seq| seq > 0);
    (storable && is_seq).then_some(Draft { client_id, body: draft.body, names, reply_to: draft.reply_to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(client_id: &str, body: &str) -> chat::Draft {
        chat::Draft { client_id: client_id.to_owned(), body: body.to_owned(), ..chat::Draft::default() }
    }

    fn request(drafts: Vec<chat::Draft>) -> SendRequest {
        SendRequest { match_id: "demo".to_owned(), sender_id: "alice".to_owned(), drafts, ..SendRequest::default() }
    }

    #[test]
    fn a_malformed_draft_fails_alone() {
        let parsed = parse(request(vec![draft("a", "\"x\""), draft("", "\"x\""), draft("c", "\0")])).unwrap();
        assert_eq!(parsed.send.drafts.len(), 1);
        assert_eq!(parsed.refused, [(1, Code::InvalidPayload), (2, Code::InvalidPayload)]);
    }

    #[test]
    fn a_malformed_id_fails_the_request() {
        let foreign = SendRequest { match_id: "a.b".to_owned(), ..request(vec![]) };
        assert_eq!(parse(foreign), Err(Code::InvalidPayload));
    }

    #[test]
    fn a_request_of_too_many_drafts_is_refused() {
        assert_eq!(parse(request(vec![draft("a", "1"); MAX_DRAFTS + 1])), Err(Code::InvalidPayload));
    }
}
