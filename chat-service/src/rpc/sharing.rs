//! Calls about what users share besides what is stored.

use proto::{
    UserId,
    chat::{
        GetSettingsRequest, GetSharingRequest, GetSharingResponse, NoteSeenRequest, NoteSeenResponse,
        PutSettingsRequest, Settings,
    },
};
use tonic::Status;

use super::{Rpc, status::user_id};

/// The most matches of which one call reads what is shared.
const MAX_MATCHES: usize = 100;
/// The most users whom one call notes as seen.
const MAX_SEEN: usize = 1_000;

impl Rpc {
    pub(super) async fn sharing_of(&self, request: GetSharingRequest) -> Result<GetSharingResponse, Status> {
        let (user, ids) = (user_id(request.user_id)?, request.match_ids);
        if ids.len() > MAX_MATCHES {
            return Err(Status::invalid_argument(format!("at most {MAX_MATCHES} matches")));
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Ok(GetSharingResponse { sharings: self.store.sharing(&user, &ids).await? })
    }

    pub(super) async fn seen(&self, request: NoteSeenRequest) -> Result<NoteSeenResponse, Status> {
        if request.user_ids.len() > MAX_SEEN {
            return Err(Status::invalid_argument(format!("at most {MAX_SEEN} users")));
        }
        let users: Vec<UserId> = request.user_ids.into_iter().map(user_id).collect::<Result<_, _>>()?;
        self.store.note_seen(&users).await?;
        Ok(NoteSeenResponse {})
    }

    pub(super) async fn settings_of(&self, request: GetSettingsRequest) -> Result<Settings, Status> {
        Ok(self.store.settings(&user_id(request.user_id)?).await?)
    }

    /// Every call tells the gateways, so that one whose news were lost can be repeated; it fails until they are told.
    pub(super) async fn set(&self, request: PutSettingsRequest) -> Result<Settings, Status> {
        let user = user_id(request.user_id.clone())?;
        let locked = request.locked.filter(|_| !request.by_user);
        let request = PutSettingsRequest { locked, ..request };
        let set = self.store.put_settings(&user, &request).await?;
        let set = set.ok_or_else(|| Status::permission_denied("the app server has locked it"))?;
        if request.share_typing.is_some() || request.share_presence.is_some() {
            let told = self.inbox.tell_sharing(&user).await;
            told.map_err(|_| Status::unavailable("it is stored, and the gateways could not be told"))?;
        }
        Ok(set)
    }
}
