//! The changes that pages of messages show between these: those of the members.

use std::ops::RangeInclusive;

use proto::{
    MatchId, UserId,
    chat::{Change, Message},
};
use tokio_postgres::{Error, Row};

use super::{
    Store, StoreError, changes,
    messages::{Listed, Position},
};
use crate::may::{may_read, sees_changes_from};

/// Most notes of a page. The log of changes has the others.
const MAX_NOTES: i64 = 100;
/// What they take at most, as the log holds them.
const MAX_NOTES_BYTES: usize = 32 * 1024;
/// Where among the columns of a change its content is.
const BODY: usize = 5;

/// Which notes, if there are more than a page has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    First,
    Last,
}

/// The notes of a match that come behind one of these messages, with parameters (match, first, last, user).
pub(super) fn statement(wanted: Wanted) -> String {
    let direction = if let Wanted::First = wanted { "" } else { "DESC" };
    format!(
        "SELECT * FROM (
             {} WHERE c.match_id = $1 AND c.kind IN ('call', 'membership') AND c.after_seq BETWEEN $2 AND $3
                AND {} AND c.rev >= {}
             ORDER BY c.after_seq {direction}, c.rev {direction} LIMIT {MAX_NOTES}
         ) n ORDER BY n.rev",
        changes::SELECT,
        may_read(4),
        sees_changes_from(4)
    )
}

/// The messages behind which a note belongs to a page: `first` and `last` are the page's own, if it has any. Before the
/// first message of all it belongs to the page that begins there.
pub(super) fn range(
    position: Position,
    (first, last): (Option<i64>, Option<i64>),
    has_more: bool,
) -> RangeInclusive<i64> {
    match position {
        Position::Latest | Position::Before(_) => {
            let end = if let Position::Before(seq) = position { seq.saturating_sub(1) } else { i64::MAX };
            first.filter(|_| has_more).unwrap_or(0)..=end
        }
        Position::After(0) => 0..=last.filter(|_| has_more).unwrap_or(i64::MAX),
        Position::After(seq) => seq.saturating_add(1)..=last.filter(|_| has_more).unwrap_or(i64::MAX),
    }
}

/// From the rows of [`statement`], as many as a page takes.
pub(super) fn of(rows: &[Row], wanted: Wanted) -> Result<Vec<Change>, Error> {
    let sizes = rows.iter().map(|row| Ok(row.try_get::<_, Option<&str>>(BODY)?.map_or(0, str::len)));
    let sizes: Vec<usize> = sizes.collect::<Result<_, Error>>()?;
    let shown = match wanted {
        Wanted::First => 0..fitting(sizes.iter()),
        Wanted::Last => rows.len() - fitting(sizes.iter().rev())..rows.len(),
    };
    let notes = rows[shown].iter().map(changes::logged).collect::<Result<Vec<_>, _>>()?;
    Ok(notes.into_iter().flatten().map(|logged| logged.change).collect())
}

fn fitting<'a>(sizes: impl Iterator<Item = &'a usize>) -> usize {
    let mut total = 0;
    let fitting = sizes.take_while(|size| {
        total += **size;
        total <= MAX_NOTES_BYTES
    });
    fitting.count()
}

impl Store {
    /// The notes of a page.
    pub(crate) async fn notes(
        &self,
        (id, user): (&MatchId, Option<&UserId>),
        position: Position,
        page: &Listed,
    ) -> Result<Vec<Change>, StoreError> {
        let seq = |message: Option<&Message>| message.map(|message| message.seq);
        let ends = (seq(page.messages.first()), seq(page.messages.last()));
        let range = range(position, ends, page.has_more);
        let client = self.client().await?;
        let statement = client.prepare_cached(&statement(Wanted::Last)).await?;
        let user = user.map(UserId::as_str);
        let rows = client.query(&statement, &[&id.as_str(), range.start(), range.end(), &user]).await?;
        Ok(of(&rows, Wanted::Last)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_belongs_to_the_page_of_its_message() {
        let of = |position, first, last, has_more| range(position, (first, last), has_more);
        assert_eq!(of(Position::Latest, Some(4), Some(9), true), 4..=i64::MAX);
        assert_eq!(of(Position::Latest, Some(1), Some(9), false), 0..=i64::MAX);
        assert_eq!(of(Position::Latest, None, None, false), 0..=i64::MAX);
        assert_eq!(of(Position::Before(4), Some(2), Some(3), true), 2..=3);
        assert_eq!(of(Position::Before(4), Some(1), Some(2), false), 0..=3, "the user has hidden the message before");
        assert!(of(Position::Before(0), None, None, false).is_empty());
        assert_eq!(of(Position::After(0), Some(1), Some(5), true), 0..=5);
        assert_eq!(of(Position::After(5), Some(6), Some(9), false), 6..=i64::MAX);
        assert_eq!(of(Position::After(9), None, None, false), 10..=i64::MAX);
    }
}
