//! The call that tells a user everything that has changed.

use proto::chat::{BlockedUsers, KnownMatch, SyncRequest, SyncResponse};
use tonic::Status;

use super::{
    Rpc, limit,
    status::{match_id, user_id},
};
use crate::store::{SyncWish, Synced};

/// The most matches that a caller names as known.
const MAX_KNOWN: usize = 500;
/// The most messages of one match.
const MAX_MESSAGES: i32 = 50;

impl Rpc {
    pub(super) async fn sync_of(&self, request: SyncRequest) -> Result<SyncResponse, Status> {
        let Synced { token, reset, has_more, mut matches, blocked, epoch } = self.store.sync(&wish(request)?).await?;
        if self.marks.is_none() {
            for of in &mut matches {
                of.receipts = None;
            }
        }
        let blocked = blocked.map(|user_ids| BlockedUsers { user_ids });
        Ok(SyncResponse { token, reset, has_more, matches, blocked, epoch })
    }
}

fn wish(request: SyncRequest) -> Result<SyncWish, Status> {
    let SyncRequest { user_id: user, token, known, messages, limit: count, with_match_id } = request;
    if known.len() > MAX_KNOWN {
        return Err(Status::invalid_argument(format!("at most {MAX_KNOWN} matches are known")));
    }
    let known = known.into_iter().map(|KnownMatch { match_id, seq, rev }| (match_id, (seq, rev))).collect();
    let messages = usize::try_from(messages.clamp(0, MAX_MESSAGES)).unwrap_or(0);
    let with = with_match_id.map(match_id).transpose()?;
    Ok(SyncWish { user: user_id(user)?, token, known, messages, limit: limit(count), with })
}
