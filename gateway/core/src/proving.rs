//! What a socket's client has still to prove that it has: messages that were given to it. Pure.

use std::time::{Duration, Instant};

use proto::MatchId;

/// How often a client is asked at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was given and is not proved; mostly nothing, and then it is one word.
#[derive(Debug, Default)]
pub(crate) struct Proving(Option<Box<Asked>>);

#[derive(Debug)]
struct Asked {
    /// What the proof that is awaited is of. Empty: none is awaited.
    of: Vec<(MatchId, i64)>,
    /// What was given since.
    since: Vec<(MatchId, i64)>,
    /// When the next question may come.
    next: Instant,
    /// Whether a timer says so.
    is_timed: bool,
}

/// When a client is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Now.
    Now,
    /// After this long: a timer is to be set.
    After(Duration),
}

impl Proving {
    /// A message was given.
    pub(crate) fn given(&mut self, chat: &MatchId, seq: i64, now: Instant) {
        let anew = || Box::new(Asked { of: Vec::new(), since: Vec::new(), next: now, is_timed: false });
        let asked = self.0.get_or_insert_with(anew);
        match asked.since.iter_mut().find(|(given, _)| given == chat) {
            Some((_, highest)) => *highest = seq.max(*highest),
            None => asked.since.push((chat.clone(), seq)),
        }
    }

    /// Whether a question is due: something was given, no proof is awaited, and the last question is long enough ago.
    pub(crate) fn question(&mut self, now: Instant) -> Option<Question> {
        let asked = self.0.as_mut()?;
        if !asked.of.is_empty() || asked.since.is_empty() {
            return None;
        }
        let wait = asked.next.saturating_duration_since(now);
        if wait.is_zero() {
            asked.of = std::mem::take(&mut asked.since);
            asked.next = now + INTERVAL;
            return Some(Question::Now);
        }
        (!std::mem::replace(&mut asked.is_timed, true)).then_some(Question::After(wait))
    }

    /// The timer has run out.
    pub(crate) fn timer_ran_out(&mut self) {
        if let Some(asked) = &mut self.0 {
            asked.is_timed = false;
        }
    }

    /// The client has what it was asked for: that.
    pub(crate) fn proved(&mut self, now: Instant) -> Vec<(MatchId, i64)> {
        let proved = self.0.as_mut().map(|asked| std::mem::take(&mut asked.of)).unwrap_or_default();
        self.0.take_if(|asked| asked.since.is_empty() && asked.next <= now);
        proved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_at_once_and_then_once_a_second() {
        let (mut proving, start, chat) = (Proving::default(), Instant::now(), MatchId::new("m").unwrap());
        assert_eq!(proving.question(start), None);
        proving.given(&chat, 1, start);
        assert_eq!(proving.question(start), Some(Question::Now));
        proving.given(&chat, 3, start);
        proving.given(&chat, 2, start);
        assert_eq!(proving.question(start), None, "a proof is awaited");
        assert_eq!(proving.proved(start), [(chat.clone(), 1)]);
        assert_eq!([proving.question(start), proving.question(start)], [Some(Question::After(INTERVAL)), None]);
        proving.timer_ran_out();
        assert_eq!(proving.question(start + INTERVAL), Some(Question::Now));
        assert_eq!(proving.proved(start + 2 * INTERVAL), [(chat, 3)]);
        assert!(proving.0.is_none(), "after quiet nothing is kept");
    }
}
