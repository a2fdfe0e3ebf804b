//! The healing of one chat of a socket: what was fetched and is not given yet, and how soon the next page is asked for.

use std::{collections::VecDeque, sync::Arc};

use crate::{changed::Changed, pace::Pace, posted::Posted};

/// A healing that is under way.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    pub(crate) pace: Pace,
    /// The seq or the rev behind which the last page was asked for.
    pub(crate) after: i64,
    /// The seq and the rev that were known to exist then.
    pub(crate) known: (i64, i64),
    /// The page that was fetched, until all of it is given.
    pub(crate) page: Option<Page>,
}

/// A page of what was missed.
#[derive(Debug)]
pub(crate) enum Page {
    Messages(Sheet<Arc<Posted>>),
    Changes(Sheet<Arc<Changed>>),
}

impl Page {
    /// It held nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Messages(sheet) => sheet.is_empty,
            Self::Changes(sheet) => sheet.is_empty,
        }
    }

    /// All that it held was given.
    pub(crate) fn is_given(&self) -> bool {
        match self {
            Self::Messages(sheet) => sheet.waiting.is_empty(),
            Self::Changes(sheet) => sheet.waiting.is_empty(),
        }
    }
}

/// What a page holds.
#[derive(Debug)]
pub(crate) struct Sheet<T> {
    /// What is still to be given.
    pub(crate) waiting: VecDeque<T>,
    /// Up to here everything that exists is in the page, or before it.
    pub(crate) through: Option<i64>,
    is_empty: bool,
}

impl<T> Sheet<T> {
    pub(crate) fn new(items: impl Iterator<Item = T>, through: Option<i64>) -> Self {
        let waiting: VecDeque<T> = items.collect();
        Self { is_empty: waiting.is_empty(), waiting, through }
    }
}
