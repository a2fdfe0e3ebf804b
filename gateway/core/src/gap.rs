//! The healing of one chat of a socket: what was fetched and is not given yet, and how soon the next page is asked for.

use std::{collections::VecDeque, sync::Arc};

use crate::{pace::Pace, posted::Posted};

/// A healing that is under way.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    pub(crate) pace: Pace,
    /// Where the cursor stood when the last page was asked for.
    pub(crate) after: i64,
    /// The page that was fetched, until all of it is given.
    pub(crate) page: Option<Page>,
}

/// A page of what was missed.
#[derive(Debug)]
pub(crate) struct Page {
    /// What is still to be given.
    pub(crate) posts: VecDeque<Arc<Posted>>,
    /// Up to here every message that exists is in the page, or before it.
    pub(crate) through: Option<i64>,
    /// It held nothing.
    pub(crate) is_empty: bool,
}
