//! Users who have no socket in use on a gateway any more, until that has been so for a while. Pure: the time goes in.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use proto::UserId;

/// Most users of whom this is remembered. Of more nobody tells that they went: who watches them finds out by asking.
const MAX_LEAVING: usize = 262_144;

/// The users who may have gone, with what is kept of each until that is known.
#[derive(Debug)]
pub struct Leaving<T> {
    grace: Duration,
    until: HashMap<UserId, (Instant, T)>,
    /// In order, as all wait equally long. Also those who have come back or are waiting for longer since.
    due: VecDeque<(Instant, UserId)>,
}

impl<T> Leaving<T> {
    /// Nobody has gone.
    pub fn new(grace: Duration) -> Self {
        Self { grace, until: HashMap::new(), due: VecDeque::new() }
    }

    /// A user's last socket in use is gone.
    pub fn went(&mut self, user: UserId, kept: T, now: Instant) {
        if self.due.len() < MAX_LEAVING {
            let until = now + self.grace;
            self.until.insert(user.clone(), (until, kept));
            self.due.push_back((until, user));
        }
    }

    /// Whether a user may have gone, and nobody was told of it.
    pub fn has(&self, user: &UserId) -> bool {
        self.until.contains_key(user)
    }

    /// A user has a socket in use again. Returns what was kept, if nobody was told that it had none.
    pub fn came(&mut self, user: &UserId) -> Option<T> {
        self.until.remove(user).map(|(_, kept)| kept)
    }

    /// Something was missed meanwhile: everybody waits once more.
    pub fn wait_anew(&mut self, now: Instant) {
        let until = now + self.grace;
        for (waiting, _) in self.until.values_mut() {
            *waiting = until;
        }
        self.due = self.until.keys().map(|user| (until, user.clone())).collect();
    }

    /// Takes a user who has been gone for the whole while.
    pub fn take_due(&mut self, now: Instant) -> Option<(UserId, T)> {
        while self.due.front().is_some_and(|(until, _)| *until <= now) {
            let (until, user) = self.due.pop_front()?;
            let is_due = self.until.get(&user).is_some_and(|(due, _)| *due == until);
            if let Some((_, kept)) = is_due.then(|| self.until.remove(&user)).flatten() {
                return Some((user, kept));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn who_comes_back_in_time_has_not_gone() {
        let (mut leaving, start) = (Leaving::new(GRACE), Instant::now());
        leaving.went(user("alice"), 1, start);
        leaving.went(user("bob"), 2, start);
        assert!(leaving.has(&user("alice")));
        assert_eq!([leaving.came(&user("alice")), leaving.came(&user("alice"))], [Some(1), None]);
        leaving.went(user("alice"), 3, start + GRACE / 2);
        assert_eq!(leaving.take_due(start + GRACE.mul_f64(0.999)), None);
        assert_eq!(leaving.take_due(start + GRACE), Some((user("bob"), 2)));
        assert_eq!(leaving.take_due(start + GRACE), None);
        assert_eq!(leaving.take_due(start + 2 * GRACE), Some((user("alice"), 3)));
        assert!(leaving.until.is_empty() && leaving.due.is_empty());
    }

    #[test]
    fn after_something_was_missed_everybody_waits_once_more() {
        let (mut leaving, start) = (Leaving::new(GRACE), Instant::now());
        leaving.went(user("alice"), (), start);
        leaving.wait_anew(start + GRACE / 2);
        assert_eq!(leaving.take_due(start + GRACE), None);
        assert_eq!(leaving.take_due(start + 2 * GRACE), Some((user("alice"), ())));
    }
}
