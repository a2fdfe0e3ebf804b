//! Tokens of syncs: from which transaction of the database on a user is still to be told what was written.
//!
//! A token names transactions, not times: PostgreSQL numbers them, and a snapshot knows the oldest one that was still
//! under way. What that one and later ones wrote may be missing in the snapshot, and is told by the next sync. So
//! something may come twice, and nothing is left out, however long a transaction takes.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The number of a transaction, as PostgreSQL's `xid8`. None is 0.
pub(crate) type Transaction = u64;

/// Tokens of another form are refused as forged ones are.
const FORM: u8 = 1;
/// As much of a signature as nobody guesses.
const TAG_BYTES: usize = 16;
/// The longest token is of some 150 characters.
const MAX_CHARS: usize = 256;
/// A standby that was promoted may give numbers again that the old server had given to transactions which wrote nothing
/// that lasts. It knows of every COMMIT, so only as many are doubtful as may be under way or fail between two COMMITs.
const DOUBTFUL_AFTER_PROMOTION: Transaction = 1 << 16;
/// A row tells its transaction modulo 2^32, so what is older than this cannot be told from what is newer.
const MAX_AGE: Transaction = 1 << 31;

/// What a snapshot of the database says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The oldest transaction that was under way; all before it are over.
    pub(crate) oldest: Transaction,
    /// The first transaction that had not begun.
    pub(crate) next: Transaction,
    /// The server's timeline: another one after each promotion.
    pub(crate) timeline: u32,
}

/// Behind which match a page begins, in the order of activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// When there was something new in the match, in Unix time.
    pub(crate) active_at_ms: i64,
    pub(crate) match_id: String,
}

/// What one sync is to tell: a page of a round. A round begins with a snapshot, and may take several pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    /// What this transaction and later ones wrote is told. `None`: everything.
    since: Option<Transaction>,
    /// The same for the next round. What is written while the pages are read is told then.
    next_since: Transaction,
    timeline: u32,
    /// Whom the user had blocked when that was told, by its hash; `None` when it was not told yet.
    pub(crate) blocks: Option<i64>,
    /// Where the page begins; `None`: at the front.
    pub(crate) behind: Option<Place>,
}

impl Round {
    /// The round that tells everything.
    pub(crate) fn of_everything(snapshot: Snapshot) -> Self {
        let Snapshot { oldest, timeline, .. } = snapshot;
        Self { since: None, next_since: oldest, timeline, blocks: None, behind: None }
    }

    /// What is to be told to who brings this round's token back: its next page, or a new round. `None` when the
    /// database has never come so far.
    fn resumed(mut self, snapshot: Snapshot) -> Option<Self> {
        if self.timeline != snapshot.timeline {
            self.timeline = snapshot.timeline;
            self.since = self.since.map(|since| since.saturating_sub(DOUBTFUL_AFTER_PROMOTION).max(1));
            self.next_since = self.next_since.saturating_sub(DOUBTFUL_AFTER_PROMOTION).max(1);
        }
        if self.next_since > snapshot.next {
            return None;
        }
        if self.behind.is_none() {
            self.since = Some(self.next_since);
            self.next_since = snapshot.oldest;
        }
        Some(self)
    }

    /// From which transaction on rows are new, as a row names it. `None`: all rows are.
    pub(crate) fn since(&self, snapshot: Snapshot) -> Option<u32> {
        let since = self.since.filter(|since| snapshot.next.saturating_sub(*since) < MAX_AGE)?;
        u32::try_from(since & u64::from(u32::MAX)).ok()
    }

    /// Whether users hear of what they have left: who is told everything sees it.
    pub(crate) fn is_of_everything(&self) -> bool {
        self.since.is_none()
    }

    /// The round as it goes on behind a place; without one it is over.
    pub(crate) fn behind(&self, place: Option<Place>, blocks: i64) -> Self {
        Self { behind: place, blocks: Some(blocks), ..self.clone() }
    }
}

/// What signs the tokens of one user.
#[derive(Debug)]
pub(crate) struct TokenKey<'a> {
    pub(crate) secret: &'a [u8],
    /// The database's: a token of another history of it is no token.
    pub(crate) epoch: &'a str,
    pub(crate) user: &'a str,
}

impl TokenKey<'_> {
    /// The token of a round.
    pub(crate) fn seal(&self, round: &Round) -> String {
        let mut bytes = vec![FORM];
        bytes.extend(round.timeline.to_le_bytes());
        bytes.extend(round.since.unwrap_or(0).to_le_bytes());
        bytes.extend(round.next_since.to_le_bytes());
        bytes.extend(round.blocks.unwrap_or(0).to_le_bytes());
        if let Some(Place { active_at_ms, match_id }) = &round.behind {
            bytes.extend(active_at_ms.to_le_bytes());
            bytes.extend(match_id.as_bytes());
        }
        let tag = self.tag(&bytes);
        bytes.extend(&tag.as_ref()[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What is to be told to who brings this token; `None` if it is no token of this user and of this database.
    pub(crate) fn resume(&self, token: &str, snapshot: Snapshot) -> Option<Round> {
        let bytes = URL_SAFE_NO_PAD.decode(Some(token).filter(|token| token.len() <= MAX_CHARS)?).ok()?;
        let (content, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag(content).as_ref()[..TAG_BYTES], tag).ok()?;
        read(content)?.resumed(snapshot)
    }

    fn tag(&self, content: &[u8]) -> hmac::Tag {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, self.secret));
        for part in [self.user.as_bytes(), self.epoch.as_bytes(), content] {
            signing.update(&(part.len() as u64).to_le_bytes());
            signing.update(part);
        }
        signing.sign()
    }
}

fn read(content: &[u8]) -> Option<Round> {
    let (form, rest) = content.split_first_chunk()?;
    let (timeline, rest) = rest.split_first_chunk()?;
    let (since, rest) = rest.split_first_chunk()?;
    let (next_since, rest) = rest.split_first_chunk()?;
    let (blocks, rest) = rest.split_first_chunk()?;
    let behind = match rest.split_first_chunk() {
        Some((at, id)) => {
            let match_id = str::from_utf8(id).ok()?.to_owned();
            Some(Place { active_at_ms: i64::from_le_bytes(*at), match_id })
        }
        None => None,
    };
    let round = Round {
        since: Some(u64::from_le_bytes(*since)).filter(|since| *since > 0),
        next_since: u64::from_le_bytes(*next_since),
        timeline: u32::from_le_bytes(*timeline),
        blocks: Some(i64::from_le_bytes(*blocks)),
        behind,
    };
    (*form == [FORM]).then_some(round)
}

#[cfg(test)]
mod tests;
