//! Which call is live, and what a device that was away has missed.

use proto::{MatchId, UserId, ids::CallId, inbox::CallChanged};

use super::{MAX_ATTEMPTS, Switchboard, contended};
use crate::{
    announcement,
    call::{Actor, Call},
    failure::Failure,
    store::Snapshot,
};

/// What to look a live call up by.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// Its match.
    Match(MatchId),
    /// One of its parties.
    User(UserId),
    /// Its id.
    Call(CallId),
}

/// What a device that was away is to learn.
#[derive(Debug)]
pub struct Missed {
    /// The user's live call.
    pub live: Option<Call>,
    /// What the user was told of calls that concern the device.
    pub told: Vec<CallChanged>,
}

impl Switchboard {
    /// The live call, if there is one.
    pub async fn live_call(&self, by: &Lookup) -> Result<Option<Call>, Failure> {
        let Snapshot { now_ms, found } = match by {
            Lookup::Match(id) => self.calls.of_match(id).await?,
            Lookup::User(id) => self.calls.of_user(id).await?,
            Lookup::Call(id) => self.calls.by_id(id).await?,
        };
        let live = found.map(|stored| stored.call).filter(|call| call.is_live() && call.lapsed(now_ms).is_none());
        Ok(live)
    }

    /// The user's live call, and what a device that was away may have missed: the last change of the call that it heard
    /// of last, and of the user's last call if it took part in that.
    pub async fn missed_by(&self, device: &Actor<'_>, heard_of: Option<&CallId>) -> Result<Missed, Failure> {
        let user = device.user;
        let last = self.standing(user, None).await?;
        let is_heard_of = |call: &Call| heard_of == Some(&call.id);
        let earlier = match heard_of {
            Some(_) if !last.as_ref().is_some_and(is_heard_of) => self.standing(user, heard_of).await?,
            _ => None,
        };
        let is_party = |call: &Call| call.device_of(user).is_some_and(|own| own.name == device.device);
        let concerning = last.iter().filter(|call| is_party(call) || is_heard_of(call)).chain(&earlier);
        let told = concerning.flat_map(announcement::missed).filter(|told| told.to == *user);
        let told = told.map(|told| told.event).collect();
        Ok(Missed { live: last.filter(Call::is_live), told })
    }

    /// A call of a user as it stands, whether it lives or has ended; without an id the last one.
    async fn standing(&self, user: &UserId, id: Option<&CallId>) -> Result<Option<Call>, Failure> {
        for _ in 0..MAX_ATTEMPTS {
            let Snapshot { now_ms, found } = match id {
                Some(id) => self.calls.by_id(id).await?,
                None => self.calls.last_of_user(user).await?,
            };
            let Some(stored) = found.filter(|stored| stored.call.involves(user)) else { return Ok(None) };
            if !self.end_lapsed(std::slice::from_ref(&stored), now_ms).await? {
                return Ok(Some(stored.call));
            }
        }
        Err(contended())
    }
}
