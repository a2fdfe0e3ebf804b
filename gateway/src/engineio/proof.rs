//! Whether a client has what was sent to it. Pure.
//!
//! A WebSocket proves it by the answer to a ping that follows what was sent, as answers come in the order of the pings.
//! A client that polls proves it by its next GET.

/// What is known of a client's pings, and what is awaited of it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Proof {
    /// Pings that are not answered.
    pings: u8,
    awaited: Awaited,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    #[default]
    Nothing,
    /// So many answers more.
    Pongs(u8),
    /// That a GET fetches what is queued.
    Fetch,
    /// The GET after that.
    NextGet,
    /// That somebody is told of the proof.
    Telling,
}

impl Proof {
    /// A proof is wanted of all that was queued until now, from a client that polls. True if it is there, of which the
    /// session's task is to [tell](Self::tells): all was fetched, and another GET waits since.
    pub(super) fn want_by_polling(&mut self, is_fetched: bool, has_get: bool) -> bool {
        self.awaited = match (is_fetched, has_get) {
            (false, _) => Awaited::Fetch,
            (true, false) => Awaited::NextGet,
            (true, true) => Awaited::Telling,
        };
        self.awaited == Awaited::Telling
    }

    /// The ping is queued that is to bring the proof.
    pub(super) fn pings_for_it(&mut self) {
        self.pinged();
        self.awaited = Awaited::Pongs(self.pings);
    }

    /// A ping is queued.
    pub(super) fn pinged(&mut self) {
        self.pings = self.pings.saturating_add(1);
    }

    /// The client has answered a ping. True if that is the proof.
    pub(super) fn ponged(&mut self) -> bool {
        if self.pings == 0 {
            return false;
        }
        self.pings -= 1;
        match &mut self.awaited {
            Awaited::Pongs(1) => {
                self.awaited = Awaited::Nothing;
                true
            }
            Awaited::Pongs(left) => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    /// A GET has fetched what was queued.
    pub(super) fn fetched(&mut self) {
        if self.awaited == Awaited::Fetch {
            self.awaited = Awaited::NextGet;
        }
    }

    /// A GET begins. True if that is the proof, of which the session's task is to [tell](Self::tells).
    pub(super) fn fetches(&mut self) -> bool {
        let is_proof = self.awaited == Awaited::NextGet;
        if is_proof {
            self.awaited = Awaited::Telling;
        }
        is_proof
    }

    /// Whether there is a proof to be told of, which is told by this.
    pub(super) fn tells(&mut self) -> bool {
        let tells = self.awaited == Awaited::Telling;
        if tells {
            self.awaited = Awaited::Nothing;
        }
        tells
    }

    /// The WebSocket takes over. True if a ping has to bring the proof now.
    pub(super) fn upgraded(self) -> bool {
        matches!(self.awaited, Awaited::Fetch | Awaited::NextGet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_a_ping_behind_it_proves_something() {
        let mut proof = Proof::default();
        assert!(!proof.ponged(), "an answer to no ping");
        proof.pinged();
        proof.pings_for_it();
        assert_eq!([proof.ponged(), proof.ponged(), proof.ponged()], [false, true, false]);
        proof.pinged();
        assert!(!proof.ponged());
    }

    #[test]
    fn a_client_that_polls_proves_it_by_the_get_after_the_one_that_fetched_it() {
        let mut proof = Proof::default();
        assert!(!proof.want_by_polling(false, true));
        assert!(!proof.fetches(), "the GET that is to fetch it");
        proof.fetched();
        assert!(proof.fetches());
        assert_eq!([proof.tells(), proof.tells()], [true, false]);
        assert!(!proof.want_by_polling(true, false));
        assert!(proof.fetches(), "what was fetched already");
        assert!(
            proof.tells() && proof.want_by_polling(true, true) && proof.tells(),
            "and what was fetched before that"
        );
    }

    #[test]
    fn what_polling_has_not_proved_a_ping_proves_after_the_upgrade() {
        let mut proof = Proof::default();
        proof.want_by_polling(false, true);
        proof.fetched();
        assert!(proof.upgraded());
        proof.pings_for_it();
        assert!(proof.ponged() && !proof.upgraded());
    }
}
