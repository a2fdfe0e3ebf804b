//! What the other services say of a match: who its members are, whether it is closed, whether it has unlocked calls.

use std::{sync::Arc, time::Duration};

use proto::{
    MatchId, UserId,
    chat::{GetMatchRequest, HeadsRequest, Match, chat_service_client::ChatServiceClient},
    milestone::{GetProgressRequest, milestone_service_client::MilestoneServiceClient},
};
use quick_cache::sync::Cache;
use service_kit::grpc;
use tonic::{Code, Status};

use crate::failure::Failure;

/// What a milestone must unlock before the two may call each other.
const VIDEO_CALL: &str = "video_call";
/// How long one question may take. Gateways wait 2 s for a command, which may need two.
const TIMEOUT: Duration = Duration::from_millis(900);
/// Members that are remembered: about 5 MB of ids.
const REMEMBERED_MEMBERS: usize = 20_000;
/// What `Heads` answers at most.
const MAX_HEADS: usize = 1_000;

/// Asks chat-service and milestone-service.
#[derive(Debug, Clone)]
pub struct Access {
    chat: ChatServiceClient<grpc::Client>,
    milestones: MilestoneServiceClient<grpc::Client>,
    /// Members of matches that asked for something, and nobody else. They never change.
    members: Arc<Cache<(MatchId, UserId), ()>>,
}

impl Access {
    /// Asks them over these clients.
    pub fn new(chat: &grpc::Client, milestones: &grpc::Client) -> Self {
        let chat = ChatServiceClient::new(chat.with_timeout(TIMEOUT));
        let milestones = MilestoneServiceClient::new(milestones.with_timeout(TIMEOUT));
        Self { chat, milestones, members: Arc::new(Cache::new(REMEMBERED_MEMBERS)) }
    }

    /// The match, if the user is a member and it is open.
    pub async fn open_match(&self, id: &MatchId, user: &UserId) -> Result<Match, Failure> {
        let found = self.get_match(id, user).await?;
        if found.closed_at_ms.is_some() { Err(Failure::MatchClosed) } else { Ok(found) }
    }

    /// Refuses a stranger before anything is looked for in the match: what is there would show in the time.
    ///
    /// Calls go on while chat-service is away: then nobody is refused here.
    pub async fn check_member(&self, id: &MatchId, user: &UserId) -> Result<(), Failure> {
        let pair = (id.clone(), user.clone());
        if self.members.get(&pair).is_some() {
            return Ok(());
        }
        match self.get_match(id, user).await {
            Err(Failure::MatchNotFound) => Err(Failure::MatchNotFound),
            _ => Ok(()),
        }
    }

    /// Whether the members of the match may call each other.
    pub async fn check_unlocked(&self, (id, user): (&MatchId, &UserId), known: &Match) -> Result<(), Failure> {
        if unlocks_calls(known) {
            return Ok(());
        }
        match self.remaining(id).await? {
            // Reached, and recorded by the question at the latest.
            Some(0) if unlocks_calls(&self.get_match(id, user).await?) => Ok(()),
            Some(0) => Err(Failure::Unavailable("the reached milestone is not recorded yet".to_owned())),
            remaining => Err(Failure::MilestoneRequired(remaining)),
        }
    }

    /// Those of the matches that are closed.
    pub async fn closed_among(&self, ids: &[MatchId]) -> Result<Vec<MatchId>, Failure> {
        let mut closed = Vec::new();
        for page in ids.chunks(MAX_HEADS) {
            let request =
                HeadsRequest { match_ids: page.iter().map(ToString::to_string).collect(), ..HeadsRequest::default() };
            let heads =
                self.chat.clone().heads(request).await.map_err(|status| unavailable("chat-service", &status))?;
            let heads = heads.into_inner().heads.into_iter().filter(|head| head.closed);
            closed.extend(heads.filter_map(|head| MatchId::new(head.match_id).ok()));
        }
        Ok(closed)
    }

    /// The match as its member sees it, who is remembered.
    async fn get_match(&self, id: &MatchId, user: &UserId) -> Result<Match, Failure> {
        let user_id = Some(user.to_string());
        let request = GetMatchRequest { match_id: id.to_string(), since_seq: None, limit: 0, user_id };
        let found = match self.chat.clone().get_match(request).await {
            Ok(response) => response.into_inner().r#match.ok_or(Failure::MatchNotFound)?,
            Err(status) if status.code() == Code::NotFound => return Err(Failure::MatchNotFound),
            Err(status) => return Err(unavailable("chat-service", &status)),
        };
        if !found.members.iter().any(|member| member == user.as_str()) {
            return Err(Failure::MatchNotFound);
        }
        self.members.insert((id.clone(), user.clone()), ());
        Ok(found)
    }

    /// How many messages are missing until calls are unlocked; `None` if no milestone unlocks them.
    async fn remaining(&self, id: &MatchId) -> Result<Option<i64>, Failure> {
        let request = GetProgressRequest { match_id: id.to_string() };
        let progress = match self.milestones.clone().get_progress(request).await {
            Ok(response) => response.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Err(Failure::MatchNotFound),
            Err(status) => return Err(unavailable("milestone-service", &status)),
        };
        let unlocking = progress.milestones.iter().filter(|milestone| names_calls(&milestone.unlocks));
        Ok(unlocking.map(|milestone| milestone.remaining).min())
    }
}

fn unlocks_calls(known: &Match) -> bool {
    known.milestones.iter().any(|milestone| names_calls(&milestone.unlocks))
}

fn names_calls(unlocks: &[String]) -> bool {
    unlocks.iter().any(|unlock| unlock == VIDEO_CALL)
}

fn unavailable(service: &str, status: &Status) -> Failure {
    Failure::Unavailable(format!("{service}: {}", status.message()))
}
