//! What a lane looks up while it holds the rows of the matches.

use futures_util::future::join5;
use tokio_postgres::{Error, Row as SqlRow, Statement, types::ToSql};

use super::{Session, statements::Statements};
use crate::{
    command::Wanted,
    news::Logged,
    room::Row,
    store::{changes, messages, milestones},
};

impl Session {
    /// Sends the statements that are needed together, behind whatever was sent before.
    pub(super) async fn find(&self, wanted: &Wanted<'_>) -> Result<(Vec<Row>, Vec<Logged>), Error> {
        let (mut ids, mut senders, mut client_ids) = (Vec::new(), Vec::new(), Vec::new());
        for (id, sender, client_id) in &wanted.by_client_id {
            ids.push(*id);
            senders.push(*sender);
            client_ids.push(*client_id);
        }
        let (seq_ids, seqs): (Vec<&str>, Vec<i64>) = wanted.by_seq.iter().copied().unzip();
        let closed: Vec<&str> = wanted.closings.iter().copied().collect();
        let grouped: Vec<&str> = wanted.memberships.iter().copied().collect();
        let (reached, names): (Vec<&str>, Vec<&str>) = wanted.milestones.iter().copied().unzip();
        let Statements { find_by_client_id, find_by_seq, find_closings, find_memberships, find_milestones, .. } =
            &self.statements;
        let (by_client_id, by_seq, closings, memberships, milestones) = join5(
            self.query_unless(ids.is_empty(), find_by_client_id, &[&ids, &senders, &client_ids]),
            self.query_unless(seqs.is_empty(), find_by_seq, &[&seq_ids, &seqs]),
            self.query_unless(closed.is_empty(), find_closings, &[&closed]),
            self.query_unless(grouped.is_empty(), find_memberships, &[&grouped]),
            self.query_unless(names.is_empty(), find_milestones, &[&reached, &names]),
        )
        .await;
        let rows = by_client_id?.iter().chain(&by_seq?).map(messages::row_with_provenance).collect::<Result<_, _>>()?;
        let changes = closings?.iter().chain(&memberships?).map(changes::logged).collect::<Result<Vec<_>, _>>()?;
        let milestones = milestones?.iter().map(milestones::logged).collect::<Result<Vec<_>, _>>()?;
        Ok((rows, changes.into_iter().chain(milestones).flatten().collect()))
    }

    async fn query_unless(
        &self,
        is_nothing: bool,
        statement: &Statement,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        if is_nothing { Ok(Vec::new()) } else { self.client.query(statement, keys).await }
    }
}
