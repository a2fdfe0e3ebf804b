//! What the app server changes through the gateway. All of it is idempotent.

use proto::{
    Code, MatchId, UserId,
    chat::{CloseMatchRequest, Match, PutMatchRequest, RevokeRequest},
};

use super::{Services, ask};
use crate::failure::Failure;

impl Services {
    /// Creates the match of two users, and says whether it is new. `IDEMPOTENCY_CONFLICT` when it is closed or has
    /// other members.
    pub async fn put_match(&self, match_id: &MatchId, members: &[UserId; 2]) -> Result<(Match, bool), Failure> {
        let members = members.iter().map(ToString::to_string).collect();
        let request = PutMatchRequest { match_id: match_id.to_string(), members };
        let response = ask(async || self.chat.clone().put_match(request.clone()).await).await?;
        Ok((response.r#match.ok_or(Code::Internal)?, response.created))
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
}
