//! What is changed through the gateway besides sends: by users, messages; by the app server, matches and tokens. All of
//! it is idempotent.

use gateway_core::message_command::{MessageAct, MessageCommand, MessageDone};
use proto::{
    Code, MatchId, UserId,
    chat::{
        ChangeMessageRequest, CloseMatchRequest, DeleteBlockRequest, EraseUserRequest, Erasure, GetSettingsRequest,
        HideMessageRequest, Mark, Match, MessageChange, MessageHidden, Position, PutBlockRequest, PutMatchRequest,
        PutSettingsRequest, ReportRequest, ReportSummary, Reported, ResolveReportRequest, RevokeRequest, Settings,
        change_message_request::{Change, DeleteForEveryone, React},
        change_message_response, hide_message_response, report_response,
    },
};

use super::{Services, asking::ask};
use crate::failure::Failure;

impl Services {
    /// Changes a stored message on behalf of a member, or hides it from that member.
    pub async fn change_message(
        &self,
        (match_id, user): (&MatchId, &UserId),
        command: &MessageCommand,
    ) -> Result<MessageDone, Failure> {
        let (match_id, user_id, seq) = (match_id.to_string(), user.to_string(), command.seq);
        let change = match command.act.clone() {
            MessageAct::Hide => return self.hide_message(HideMessageRequest { match_id, user_id, seq }).await,
            MessageAct::Edit(body) => Change::Edit(body),
            MessageAct::Delete => Change::Delete(DeleteForEveryone {}),
            MessageAct::React(emoji, on) => Change::React(React { emoji, on }),
        };
        let client_id = command.client_id.as_ref().map(|id| id.as_str().to_owned());
        let request = ChangeMessageRequest { match_id, user_id, seq, client_id, change: Some(change) };
        let response = ask(async || self.chat.clone().change_message(request.clone()).await).await?;
        match response.result.ok_or(Code::Internal)? {
            change_message_response::Result::Changed(MessageChange { rev, duplicate }) => {
                Ok(MessageDone { rev: Some(rev), duplicate })
            }
            change_message_response::Result::Failure(failure) => Err(failure.into()),
        }
    }

    async fn hide_message(&self, request: HideMessageRequest) -> Result<MessageDone, Failure> {
        let response = ask(async || self.chat.clone().hide_message(request.clone()).await).await?;
        match response.result.ok_or(Code::Internal)? {
            hide_message_response::Result::Hidden(MessageHidden { duplicate }) => {
                Ok(MessageDone { rev: None, duplicate })
            }
            hide_message_response::Result::Failure(failure) => Err(failure.into()),
        }
    }

    /// Notes up to which messages a member has read and received a match. Returns where the member stands after it.
    pub async fn mark(
        &self,
        (match_id, user): (&MatchId, &UserId),
        read_seqs: Vec<i64>,
        delivered_seqs: Vec<i64>,
    ) -> Result<Position, Failure> {
        let (match_id, user_id) = (match_id.to_string(), user.to_string());
        self.marks.take(Mark { match_id, user_id, read_seqs, delivered_seqs }).await
    }

    /// What a user shares.
    pub async fn settings(&self, user: &UserId) -> Result<Settings, Failure> {
        let request = GetSettingsRequest { user_id: user.to_string() };
        ask(async || self.chat.clone().get_settings(request.clone()).await).await
    }

    /// Changes what a user shares. `FORBIDDEN` when the user asks and the app server has locked it.
    pub async fn put_settings(&self, request: PutSettingsRequest) -> Result<Settings, Failure> {
        ask(async || self.chat.clone().put_settings(request.clone()).await).await
    }

    /// Creates the match of two users, and says whether it is new. `IDEMPOTENCY_CONFLICT` when it is closed or has
    /// other members, `BLOCKED_PAIR` when one has blocked the other.
    pub async fn put_match(&self, match_id: &MatchId, members: &[UserId; 2]) -> Result<(Match, bool), Failure> {
        let members = members.iter().map(ToString::to_string).collect();
        let request = PutMatchRequest { match_id: match_id.to_string(), members, ..PutMatchRequest::default() };
        let response = ask(async || self.chat.clone().put_match(request.clone()).await).await?;
        if response.blocked {
            return Err(Code::BlockedPair.into());
        }
        Ok((response.r#match.ok_or(Code::Internal)?, response.created))
    }

    /// Blocks a user for another one. `FORBIDDEN` when that one has blocked too many.
    pub async fn block(&self, user: &UserId, other: &UserId) -> Result<(), Failure> {
        let request = PutBlockRequest { user_id: user.to_string(), blocked_id: other.to_string() };
        let response = ask(async || self.chat.clone().put_block(request.clone()).await).await?;
        response.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Takes a block back.
    pub async fn unblock(&self, user: &UserId, other: &UserId) -> Result<(), Failure> {
        let request = DeleteBlockRequest { user_id: user.to_string(), blocked_id: other.to_string() };
        ask(async || self.chat.clone().delete_block(request.clone()).await).await.map(|_| ())
    }

    /// Files a report of a member; with `block` the match's other member is blocked, too, also when the report is
    /// refused to a member: who wants to be rid of somebody must not depend on how often that was reported.
    pub async fn report(&self, request: ReportRequest, block: bool) -> Result<Reported, Failure> {
        let user = UserId::new(request.user_id.as_str()).map_err(|_| Failure::invalid())?;
        let response = ask(async || self.chat.clone().report(request.clone()).await).await?;
        let reported = match response.result.ok_or(Code::Internal)? {
            report_response::Result::Reported(reported) => Ok(reported),
            report_response::Result::Failure(failure) => Err(failure.into()),
        };
        // Earlier services name the other one only with a report.
        let other = response.other.or_else(|| reported.as_ref().ok().and_then(|reported| reported.other.clone()));
        if let Some(other) = other.filter(|_| block).and_then(|other| UserId::new(other).ok()) {
            self.block(&user, &other).await?;
        }
        reported
    }

    /// Notes that a report was dealt with. `MATCH_NOT_FOUND` when it does not exist.
    pub async fn resolve_report(&self, report_id: i64) -> Result<ReportSummary, Failure> {
        let request = ResolveReportRequest { report_id };
        ask(async || self.chat.clone().resolve_report(request).await).await
    }

    /// Closes a match for good. `MATCH_NOT_FOUND` when it does not exist.
    pub async fn close_match(&self, match_id: &MatchId) -> Result<(), Failure> {
        let request = CloseMatchRequest { match_id: match_id.to_string() };
        ask(async || self.chat.clone().close_match(request.clone()).await).await.map(|_| ())
    }

    /// Refuses every token of a user that was issued before a Unix time in milliseconds; before the next whole second
    /// if none is given. Returns the time that counts, which may be a later one that was given before.
    pub async fn revoke(&self, user: &UserId, not_before_ms: Option<i64>) -> Result<i64, Failure> {
        let request = RevokeRequest { user_id: user.to_string(), not_before_ms };
        Ok(ask(async || self.chat.clone().revoke(request.clone()).await).await?.not_before_ms)
    }

    /// Has everything erased that is there of a user now. Returns how far that is.
    pub async fn erase_user(&self, user: &UserId) -> Result<Erasure, Failure> {
        let request = EraseUserRequest { user_id: user.to_string() };
        ask(async || self.chat.clone().erase_user(request.clone()).await).await
    }
}
