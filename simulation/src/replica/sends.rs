//! The sends of every match, from the request on NATS to its answer; after `chat-service/src/sends.rs`.

use std::{rc::Rc, time::Duration};

use chat_service::{
    command::SendMessages,
    outcome::Outcome,
    room::{Author, Draft},
    send_result::{failure, unavailable},
};
use proto::{
    ClientId, MatchId, UserId,
    chat::{Code, SendReply, SendRequest, SendResult},
};

use super::Replica;
use crate::{
    channel::Queue,
    network::{Away, Packet, Request},
};

const ANSWER_MARGIN: Duration = Duration::from_millis(50);

impl Replica {
    /// Serves requests that arrive in a mailbox.
    pub(super) async fn serve(self: Rc<Self>, mailbox: Queue<Packet>) {
        loop {
            let Packet::Request(request) = mailbox.pop().await else { continue };
            if !self.has_left.get() {
                self.world.sim.spawn(self.process, Rc::clone(&self).handle(request));
            }
        }
    }

    async fn handle(self: Rc<Self>, request: Rc<Request>) {
        let sim = &self.world.sim;
        let patience = sim.until(request.send.deadline_ms);
        if patience <= ANSWER_MARGIN {
            return;
        }
        let results = sim.timeout(patience.saturating_sub(ANSWER_MARGIN), self.results(&request.send, patience)).await;
        let results = results.unwrap_or_else(|| vec![unavailable(); request.send.drafts.len()]);
        self.world.net.reply(self.process, &request, SendReply { results });
    }

    async fn results(&self, send: &SendRequest, patience: Duration) -> Vec<SendResult> {
        let (count, deadline) = (send.drafts.len(), self.world.sim.instant() + patience);
        let Some(parsed) = parse(send) else { return vec![failure(Code::MatchNotFound); count] };
        let outcome = match self.audience(&parsed.match_id, Some(&parsed.author.id)).await {
            Ok(Some(audience)) => self.commit(parsed, audience, deadline).await,
            Ok(None) => return vec![failure(Code::MatchNotFound); count],
            Err(Away) => return vec![unavailable(); count],
        };
        outcome.map_or_else(|_| vec![unavailable(); count], Outcome::into_results)
    }
}

fn parse(send: &SendRequest) -> Option<SendMessages> {
    let drafts = send.drafts.iter().map(|draft| {
        let client_id = ClientId::new(draft.client_id.as_str()).ok()?;
        Some(Draft { client_id, body: draft.body.clone(), names: Vec::new(), reply_to: draft.reply_to })
    });
    let author = Author { id: UserId::new(send.sender_id.as_str()).ok()?, origin: send.origin, by_rest: false };
    Some(SendMessages {
        match_id: MatchId::new(send.match_id.as_str()).ok()?,
        author,
        drafts: drafts.collect::<Option<_>>()?,
    })
}
