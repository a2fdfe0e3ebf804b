//! What a lane looks up while it holds the rows of the matches.

use std::collections::BTreeSet;

use futures_util::join;
use proto::{ClientId, MatchId, UserId};
use tokio_postgres::{Error, Row as SqlRow, Statement, types::ToSql};

use super::{Session, statements::Statements};
use crate::{
    command::Wanted,
    lanes::transaction::Found,
    store::{changes, messages, milestones, time::to_ms},
    stored::{Made, Named},
};

impl Session {
    /// Sends the statements that are needed together, behind whatever was sent before.
    pub(super) async fn find(&self, wanted: &Wanted<'_>) -> Result<Found, Error> {
        let sent = keys(&wanted.by_client_id);
        let (seq_ids, seqs): (Vec<&str>, Vec<i64>) = wanted.by_seq.iter().copied().unzip();
        let commands = keys(&wanted.commands);
        let closed: Vec<&str> = wanted.closings.iter().copied().collect();
        let grouped: Vec<&str> = wanted.memberships.iter().copied().collect();
        let (hiding, hidden): (Vec<&str>, Vec<i64>) = wanted.hidden.iter().copied().unzip();
        let (reached, milestones): (Vec<&str>, Vec<&str>) = wanted.milestones.iter().copied().unzip();
        let Statements { find_by_client_id, find_by_seq, find_commands, .. } = &self.statements;
        let Statements { find_closings, find_memberships, find_milestones, find_hidden, .. } = &self.statements;
        let (by_client_id, by_seq, named, closed_by, changed_by, recorded_by, hidden_by) = join!(
            self.query_unless(sent.0.is_empty(), find_by_client_id, [&sent.0, &sent.1, &sent.2]),
            self.query_unless(seqs.is_empty(), find_by_seq, [&seq_ids, &seqs]),
            self.query_unless(commands.0.is_empty(), find_commands, [&commands.0, &commands.1, &commands.2]),
            self.query_unless(closed.is_empty(), find_closings, [&closed]),
            self.query_unless(grouped.is_empty(), find_memberships, [&grouped]),
            self.query_unless(milestones.is_empty(), find_milestones, [&reached, &milestones]),
            self.query_unless(hidden.is_empty(), find_hidden, [&hiding, &hidden]),
        );
        let rows = by_client_id?.iter().chain(&by_seq?).map(messages::whole_row).collect::<Result<_, _>>()?;
        let changes = closed_by?.iter().chain(&changed_by?).map(changes::logged).collect::<Result<Vec<_>, _>>()?;
        let recorded = recorded_by?.iter().map(milestones::logged).collect::<Result<Vec<_>, _>>()?;
        let commands = named?.iter().map(command).collect::<Result<Vec<_>, _>>()?;
        let changes = changes.into_iter().chain(recorded).flatten().collect();
        let commands = commands.into_iter().flatten().collect();
        let hidden = hidden_by?.iter().map(hiding_of).collect::<Result<Vec<_>, _>>()?;
        let hidden = hidden.into_iter().flatten().collect();
        Ok(Found { rows, changes, commands, hidden, ..Found::default() })
    }

    async fn query_unless<const N: usize>(
        &self,
        is_nothing: bool,
        statement: &Statement,
        keys: [&(dyn ToSql + Sync); N],
    ) -> Result<Vec<SqlRow>, Error> {
        if is_nothing { Ok(Vec::new()) } else { self.client.query(statement, &keys).await }
    }
}

/// Keys of three parts as columns.
fn keys<'a>(keys: &BTreeSet<(&'a str, &'a str, &'a str)>) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) {
    let rest = keys.iter().map(|(_, user, name)| (*user, *name));
    let (users, names) = rest.unzip();
    (keys.iter().map(|(id, ..)| *id).collect(), users, names)
}

fn hiding_of(row: &SqlRow) -> Result<Option<(MatchId, i64, UserId)>, Error> {
    let (id, user) = (MatchId::new(row.try_get::<_, &str>(0)?), UserId::new(row.try_get::<_, &str>(2)?));
    let seq = row.try_get(1)?;
    Ok(id.ok().zip(user.ok()).map(|(id, user)| (id, seq, user)))
}

fn command(row: &SqlRow) -> Result<Option<(MatchId, Named)>, Error> {
    let made = match (row.try_get(5)?, row.try_get::<_, Option<_>>(6)?) {
        (Some(after_seq), Some(created_at)) => Some(Made { after_seq, created_at_ms: to_ms(created_at) }),
        _ => None,
    };
    let ids = (MatchId::new(row.try_get::<_, &str>(0)?), UserId::new(row.try_get::<_, &str>(1)?));
    let client_id = ClientId::new(row.try_get::<_, &str>(2)?);
    let content = row.try_get::<_, &[u8]>(3)?.try_into().unwrap_or_default();
    let rev = row.try_get(4)?;
    Ok(match (ids, client_id) {
        ((Ok(id), Ok(user)), Ok(client_id)) => Some((id, Named { user, client_id, content, rev, made })),
        _ => None,
    })
}
