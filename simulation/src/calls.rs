//! Calls as far as gateways hear of them: each step is told to the inboxes of those whom it concerns, and repeated, as
//! signaling-service does; and who was away may ask.

use std::{cell::RefCell, rc::Rc, time::Duration};

use proto::{
    inbox::{
        CallChanged,
        call_changed::{Change, Ended, Incoming},
        inbox_event::Event,
    },
    signaling::{Call, CallState, GetCallResponse, get_call_request::OfDevice},
};

use crate::{
    cast::Cast,
    network::{Network, Packet, Subject},
};

/// When each step is told, from its beginning.
const TOLD_AT_MS: [u64; 3] = [0, 1_000, 3_000];
/// How long it rings.
const RINGS: Duration = Duration::from_millis(2_500);

/// All calls of a run.
pub(crate) struct Calls {
    cast: Rc<Cast>,
    net: Rc<Network>,
    rings: RefCell<Vec<Ring>>,
}

/// A call of a match's first member to the second, which nobody answers.
struct Ring {
    call: Call,
    members: [usize; 2],
    ends_at: Duration,
}

impl Calls {
    pub(crate) fn new(cast: &Rc<Cast>, net: &Rc<Network>) -> Self {
        Self { cast: Rc::clone(cast), net: Rc::clone(net), rings: RefCell::default() }
    }

    /// A call rings, and ends, unless one of the two is in another one.
    pub(crate) fn ring(&self, chat: usize) {
        let (sim, of) = (self.net.sim(), &self.cast.chats[chat]);
        let is_busy = |ring: &Ring| !self.has_ended(ring) && ring.members.iter().any(|user| of.members.contains(user));
        if self.rings.borrow().iter().any(is_busy) {
            return;
        }
        let [from, to] = of.members.map(|user| self.cast.users[user].to_string());
        let call = Call {
            // As with signaling's ids, a later one is greater.
            call_id: format!("call-{:012}", sim.now().as_micros()),
            match_id: of.id.to_string(),
            caller: from,
            callee: to,
            state: CallState::Ringing.into(),
            version: 1,
            ..Call::default()
        };
        let ring = Ring { call, members: of.members, ends_at: sim.now() + RINGS };
        let process = sim.start();
        for (is_over, begins) in [(false, Duration::ZERO), (true, RINGS)] {
            for user in of.members {
                let Some(step) = ring.step(is_over, user) else { continue };
                let packet = Packet::Inbox(Rc::new(Event::CallChanged(step)));
                for told_at_ms in TOLD_AT_MS {
                    let (net, packet) = (Rc::clone(&self.net), packet.clone());
                    let publish = move || net.publish(process, Subject::User(user), packet);
                    sim.after(begins + Duration::from_millis(told_at_ms), publish);
                }
            }
        }
        self.rings.borrow_mut().push(ring);
    }

    /// Whether a call is over.
    pub(crate) fn is_over(&self, id: &str) -> bool {
        self.rings.borrow().iter().any(|ring| ring.call.call_id == id && self.has_ended(ring))
    }

    /// What a device that was away is told.
    pub(crate) fn missed(&self, of: &OfDevice) -> GetCallResponse {
        let Some(user) = self.cast.user(&of.user_id) else { return GetCallResponse::default() };
        let rings = self.rings.borrow();
        let mut own = rings.iter().filter(|ring| ring.members.contains(&user));
        let live = own.clone().next_back().filter(|ring| !self.has_ended(ring));
        let heard_of = own.find(|ring| of.heard_of.as_ref() == Some(&ring.call.call_id));
        let told = heard_of.and_then(|ring| ring.step(self.has_ended(ring), user));
        GetCallResponse { call: live.map(|ring| ring.call.clone()), told: told.into_iter().collect() }
    }

    fn has_ended(&self, ring: &Ring) -> bool {
        ring.ends_at <= self.net.sim().now()
    }
}

impl Ring {
    /// What a user is told when it begins, or ends.
    fn step(&self, is_over: bool, user: usize) -> Option<CallChanged> {
        let Call { call_id, match_id, caller, .. } = self.call.clone();
        let (version, change) = match is_over {
            true => (2, Change::Ended(Ended { signal: None, reason: "no_answer".to_owned() })),
            false if user == self.members[1] => {
                (1, Change::Incoming(Incoming { caller, media: None, expires_at_ms: 0 }))
            }
            false => return None,
        };
        Some(CallChanged { call_id, match_id, version, change: Some(change), ..CallChanged::default() })
    }
}
