//! What the database holds at the end, as the checker needs it.

use anyhow::Context as _;
use promises::{MatchFacts, MilestoneRow, Row, Tag};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::body::{client_id, tag_of};

/// Its head, whether it is closed, and how many messages came after that.
const MATCH: &str = "SELECT last_seq, closed_at IS NOT NULL,
        (SELECT count(*) FROM messages s WHERE s.match_id = m.match_id AND s.created_at > m.closed_at)
     FROM matches m WHERE match_id = $1";

/// The database of a stack.
pub struct Database {
    client: Client,
    connection: tokio::task::JoinSet<()>,
}

impl Database {
    /// Connects to it.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot connect to PostgreSQL")?;
        let mut driver = tokio::task::JoinSet::new();
        // What ends the connection fails the next query.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { client, connection: driver })
    }

    /// Reads one match. `user_of` names the user of each client.
    pub async fn read(&self, match_id: &str, user_of: &[String]) -> anyhow::Result<MatchFacts> {
        let found = self.client.query_opt(MATCH, &[&match_id]).await?;
        let (last_seq, is_closed, stored_late): (i64, bool, i64) = match &found {
            Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?),
            None => (0, false, 0),
        };
        let messages = "SELECT seq, sender_id, client_id, body FROM messages WHERE match_id = $1 ORDER BY seq";
        let rows = self.client.query(messages, &[&match_id]).await?;
        let rows = rows.iter().map(|row| read_row(row, user_of)).collect::<anyhow::Result<_>>()?;
        let milestones = "SELECT seq, announced_at IS NOT NULL FROM milestones WHERE match_id = $1 ORDER BY rev";
        let found = self.client.query(milestones, &[&match_id]).await?;
        let milestones = found.iter().map(|row| {
            anyhow::Ok(MilestoneRow { seq: u32::try_from(row.try_get::<_, i64>(0)?)?, announced: row.try_get(1)? })
        });
        Ok(MatchFacts {
            last_seq: u32::try_from(last_seq)?,
            rows,
            milestones: milestones.collect::<anyhow::Result<_>>()?,
            is_closed,
            removed: Vec::new(),
            stored_late: u32::try_from(stored_late)?,
        })
    }

    /// Hangs up.
    pub async fn close(mut self) {
        drop(self.client);
        self.connection.join_next().await;
    }
}

fn read_row(row: &tokio_postgres::Row, user_of: &[String]) -> anyhow::Result<Row> {
    let seq = u32::try_from(row.try_get::<_, i64>(0)?)?;
    let (sender, id, body): (&str, &str, &str) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let tag = serde_json::from_str::<Value>(body).ok().and_then(|body| tag_of(&body));
    let fits =
        |tag: &Tag| user_of.get(usize::from(tag.slot)).is_some_and(|user| user == sender) && client_id(*tag) == id;
    Ok(Row { seq, tag: tag.filter(fits) })
}
