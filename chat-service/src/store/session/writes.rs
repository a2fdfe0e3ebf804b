//! What a lane stores.

use std::{collections::BTreeMap, time::SystemTime};

use proto::{
    MatchId,
    chat::{Membership, Message, change::Kind},
};
use tokio_postgres::{Error, types::ToSql};

use super::Session;
use crate::{
    news::Logged,
    room::{Head, Row},
    store::{changes::Columns, time::from_ms},
};

impl Session {
    /// Where the matches stand now. One that is closed for the first time is closed at the time of its head.
    pub(super) async fn set_heads(&self, heads: &BTreeMap<MatchId, Head>) -> Result<(), Error> {
        if heads.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = heads.keys().map(MatchId::as_str).collect();
        let seqs: Vec<i64> = heads.values().map(|head| head.last_seq).collect();
        let revs: Vec<i64> = heads.values().map(|head| head.rev).collect();
        let closed: Vec<bool> = heads.values().map(|head| head.closed).collect();
        let times: Vec<SystemTime> = heads.values().map(|head| from_ms(head.now_ms)).collect();
        let members_revs: Vec<i64> = heads.values().map(|head| head.members_rev).collect();
        let parameters: [&(dyn ToSql + Sync); 6] = [&ids, &seqs, &revs, &closed, &times, &members_revs];
        self.client.execute(&self.statements.set_heads, &parameters).await.map(|_| ())
    }

    pub(super) async fn insert_rows(&self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = |field: fn(&Message) -> &str| rows.iter().map(|row| field(&row.message)).collect::<Vec<_>>();
        let seqs: Vec<i64> = rows.iter().map(|row| row.message.seq).collect();
        let origins: Vec<Option<i64>> = rows.iter().map(|row| row.message.origin.map(u64::cast_signed)).collect();
        let times: Vec<SystemTime> = rows.iter().map(|row| from_ms(row.message.created_at_ms)).collect();
        let by_rest: Vec<bool> = rows.iter().map(|row| row.by_rest).collect();
        let (ids, senders) = (text(|message| &message.match_id), text(|message| &message.sender_id));
        let (client_ids, bodies) = (text(|message| &message.client_id), text(|message| &message.body));
        let columns: [&(dyn ToSql + Sync); 8] =
            [&ids, &seqs, &senders, &client_ids, &origins, &bodies, &times, &by_rest];
        self.client.execute(&self.statements.insert, &columns).await.map(|_| ())
    }

    /// Appends changes to the logs of their matches, with the state that they lead to.
    pub(super) async fn append(&self, changes: &[Logged]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        self.client.execute(&self.statements.append, &Columns::of(changes).parameters()).await.map(|_| ())
    }

    /// Has the members be those that the changes lead to.
    pub(super) async fn set_members(&self, changes: &[Logged]) -> Result<(), Error> {
        let mut set = BTreeMap::new();
        for Logged { match_id, change } in changes {
            let Some(Kind::Membership(Membership { added, removed, .. })) = &change.kind else { continue };
            set.extend(removed.iter().map(|user| ((match_id.as_str(), user.as_str()), false)));
            set.extend(added.iter().map(|user| ((match_id.as_str(), user.as_str()), true)));
        }
        if set.is_empty() {
            return Ok(());
        }
        let (ids, users): (Vec<&str>, Vec<&str>) = set.keys().copied().unzip();
        let is_member: Vec<bool> = set.into_values().collect();
        self.client.execute(&self.statements.set_members, &[&ids, &users, &is_member]).await.map(|_| ())
    }
}
