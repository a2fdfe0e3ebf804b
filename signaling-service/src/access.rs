//! What the other services say of a match: whether a user may call there, and whether it has unlocked calls.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    MatchId, UserId,
    chat::{
        Action, Code as Refused, GetMatchRequest, GetMatchResponse, HeadsRequest, Match, MatchHead,
        chat_service_client::ChatServiceClient,
    },
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
/// For so long a member is taken to be one still.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
/// What `Heads` answers at most.
const MAX_HEADS: usize = 1_000;

/// Asks chat-service and milestone-service.
#[derive(Debug, Clone)]
pub struct Access {
    chat: ChatServiceClient<grpc::Client>,
    milestones: MilestoneServiceClient<grpc::Client>,
    /// Members of matches that asked for something, and nobody else; when that was.
    members: Arc<Cache<(MatchId, UserId), Instant>>,
}

/// A match in which a call may have to end.
#[derive(Debug)]
pub struct Unsettled {
    /// Which.
    pub id: MatchId,
    closed: bool,
    members: Vec<String>,
}

impl Unsettled {
    /// Whether a call between these two may not go on.
    pub fn forbids(&self, parties: [&UserId; 2]) -> bool {
        let is_member = |party: &UserId| self.members.iter().any(|member| member == party.as_str());
        self.closed || !parties.into_iter().all(is_member)
    }
}

impl Access {
    /// Asks them over these clients.
    pub fn new(chat: &grpc::Client, milestones: &grpc::Client) -> Self {
        let chat = ChatServiceClient::new(chat.with_timeout(TIMEOUT));
        let milestones = MilestoneServiceClient::new(milestones.with_timeout(TIMEOUT));
        Self { chat, milestones, members: Arc::new(Cache::new(REMEMBERED_MEMBERS)) }
    }

    /// The match, if the user may call there.
    pub async fn open_match(&self, id: &MatchId, user: &UserId) -> Result<Match, Failure> {
        let (found, refused) = self.get_match(id, user).await?;
        match refused {
            None => Ok(found),
            Some(Refused::MatchClosed) => Err(Failure::MatchClosed),
            Some(_) => Err(Failure::StateConflict),
        }
    }

    /// Refuses a stranger before anything is looked for in the match: what is there would show in the time.
    ///
    /// Calls go on while chat-service is away: then nobody is refused here.
    pub async fn check_member(&self, id: &MatchId, user: &UserId) -> Result<(), Failure> {
        let pair = (id.clone(), user.clone());
        if self.members.get(&pair).is_some_and(|seen| seen.elapsed() < REMEMBERED_FOR) {
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
            Some(0) if unlocks_calls(&self.get_match(id, user).await?.0) => Ok(()),
            Some(0) => Err(Failure::Unavailable("the reached milestone is not recorded yet".to_owned())),
            remaining => Err(Failure::MilestoneRequired(remaining)),
        }
    }

    /// Those of the matches that are closed, or whose members have changed.
    pub async fn unsettled_among(&self, ids: &[MatchId]) -> Result<Vec<Unsettled>, Failure> {
        let mut unsettled = Vec::new();
        for page in ids.chunks(MAX_HEADS) {
            let match_ids = page.iter().map(ToString::to_string).collect();
            let request = HeadsRequest { match_ids, with_members: true, user_id: None };
            let heads =
                self.chat.clone().heads(request).await.map_err(|status| unavailable("chat-service", &status))?;
            let changed = heads.into_inner().heads.into_iter().filter(|head| head.closed || head.members_rev > 0);
            unsettled.extend(changed.filter_map(|MatchHead { match_id, closed, members, .. }| {
                Some(Unsettled { id: MatchId::new(match_id).ok()?, closed, members })
            }));
        }
        Ok(unsettled)
    }

    /// The match as its member sees it, who is remembered, and why the member may not call there, if so.
    async fn get_match(&self, id: &MatchId, user: &UserId) -> Result<(Match, Option<Refused>), Failure> {
        let (match_id, user_id) = (id.to_string(), Some(user.to_string()));
        let request = GetMatchRequest { match_id, user_id, action: Action::Call.into(), ..GetMatchRequest::default() };
        let response = match self.chat.clone().get_match(request).await {
            Ok(response) => response.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Err(Failure::MatchNotFound),
            Err(status) => return Err(unavailable("chat-service", &status)),
        };
        let refused = response.refused.map(|_| response.refused());
        let GetMatchResponse { r#match: Some(found), .. } = response else { return Err(Failure::MatchNotFound) };
        self.members.insert((id.clone(), user.clone()), Instant::now());
        Ok((found, refused))
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
