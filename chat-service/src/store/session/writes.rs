//! What a lane stores.

use std::{collections::BTreeMap, time::SystemTime};

use futures_util::join;
use proto::{MatchId, chat::Message};
use tokio_postgres::{Error, types::ToSql};

use super::Session;
use crate::{
    batch::Writes,
    news::Logged,
    room::Head,
    store::{changes::Columns, reactions, time::from_ms},
    stored::{Named, Row, Version},
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
        let reply_to: Vec<Option<i64>> = rows.iter().map(|row| row.message.reply_to).collect();
        let columns: [&(dyn ToSql + Sync); 9] =
            [&ids, &seqs, &senders, &client_ids, &origins, &bodies, &times, &by_rest, &reply_to];
        self.client.execute(&self.statements.insert, &columns).await.map(|_| ())
    }

    /// What stored messages have become, what they were, and which commands asked for it.
    pub(super) async fn update(&self, writes: &Writes) -> Result<(), Error> {
        if writes.updates.is_empty() && writes.commands.is_empty() {
            return Ok(());
        }
        // In a box, as most batches have nothing of it.
        Box::pin(self.update_all(writes)).await
    }

    async fn update_all(&self, writes: &Writes) -> Result<(), Error> {
        let (updated, kept, noted) =
            join!(self.update_rows(&writes.updates), self.keep(&writes.versions), self.note(&writes.commands));
        updated.and(kept).and(noted)
    }

    async fn update_rows(&self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let messages = || rows.iter().map(|row| &row.message);
        let (ids, seqs): (Vec<&str>, Vec<i64>) = messages().map(|of| (of.match_id.as_str(), of.seq)).unzip();
        let bodies: Vec<&str> = messages().map(|of| of.body.as_str()).collect();
        let edits: Vec<i16> = rows.iter().map(|row| row.edits).collect();
        let edited: Vec<Option<SystemTime>> = messages().map(|of| of.edited_at_ms.map(from_ms)).collect();
        let reactions: Vec<Option<String>> = messages().map(|of| reactions::to_json(&of.reactions)).collect();
        let originals: Vec<Option<&[u8]>> = rows.iter().map(|row| row.original.as_ref().map(|of| &of[..])).collect();
        let deleted: Vec<bool> = messages().map(|of| of.deleted).collect();
        let columns: [&(dyn ToSql + Sync); 8] =
            [&ids, &seqs, &bodies, &edits, &edited, &reactions, &originals, &deleted];
        self.client.execute(&self.statements.update, &columns).await.map(|_| ())
    }

    async fn keep(&self, versions: &[(MatchId, Version)]) -> Result<(), Error> {
        if versions.is_empty() {
            return Ok(());
        }
        let (ids, seqs): (Vec<&str>, Vec<i64>) = versions.iter().map(|(id, of)| (id.as_str(), of.seq)).unzip();
        let revs: Vec<i64> = versions.iter().map(|(_, of)| of.rev).collect();
        let bodies: Vec<&str> = versions.iter().map(|(_, of)| of.body.as_str()).collect();
        let times: Vec<SystemTime> = versions.iter().map(|(_, of)| from_ms(of.replaced_at_ms)).collect();
        let columns: [&(dyn ToSql + Sync); 5] = [&ids, &seqs, &revs, &bodies, &times];
        self.client.execute(&self.statements.keep_versions, &columns).await.map(|_| ())
    }

    async fn note(&self, commands: &[(MatchId, Named)]) -> Result<(), Error> {
        if commands.is_empty() {
            return Ok(());
        }
        let (ids, users): (Vec<&str>, Vec<&str>) =
            commands.iter().map(|(id, of)| (id.as_str(), of.user.as_str())).unzip();
        let names: Vec<&str> = commands.iter().map(|(_, of)| of.client_id.as_str()).collect();
        let contents: Vec<&[u8]> = commands.iter().map(|(_, of)| &of.content[..]).collect();
        let (revs, made): (Vec<i64>, Vec<bool>) = commands.iter().map(|(_, of)| (of.rev, of.made.is_some())).unzip();
        let columns: [&(dyn ToSql + Sync); 6] = [&ids, &users, &names, &contents, &revs, &made];
        self.client.execute(&self.statements.note_commands, &columns).await.map(|_| ())
    }

    /// Appends changes to the logs of their matches, with the state that they lead to.
    pub(super) async fn append(&self, changes: &[Logged]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        self.client.execute(&self.statements.append, &Columns::of(changes).parameters()).await.map(|_| ())
    }
}
