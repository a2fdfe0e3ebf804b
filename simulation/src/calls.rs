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
    network::{Packet, Subject},
    world::World,
};

/// When each step is told, from its beginning.
const TOLD_AT_MS: [u64; 3] = [0, 1_000, 3_000];
/// How long it rings.
const RINGS: Duration = Duration::from_millis(2_500);

/// All calls of a run.
#[derive(Default)]
pub(crate) struct Calls(RefCell<Vec<Ring>>);

/// A call of a match's first member to the second, which nobody answers.
#[derive(Clone)]
struct Ring {
    id: String,
    chat: usize,
    ends_at: Duration,
}

impl Calls {
    /// Whether a call is over.
    pub(crate) fn is_over(&self, world: &World, id: &str) -> bool {
        self.0.borrow().iter().any(|ring| ring.id == id && ring.ends_at <= world.sim.now())
    }

    /// What a device that was away is told.
    pub(crate) fn missed(&self, world: &World, of: &OfDevice) -> GetCallResponse {
        let Some(user) = world.cast.user(&of.user_id) else { return GetCallResponse::default() };
        let rings = self.0.borrow();
        let own = rings.iter().filter(|ring| world.cast.chats[ring.chat].members.contains(&user));
        let heard_of = own.clone().find(|ring| of.heard_of.as_ref() == Some(&ring.id));
        let told = heard_of.and_then(|ring| ring.step(world, ring.ends_at <= world.sim.now(), user));
        let live = own.last().filter(|ring| ring.ends_at > world.sim.now());
        GetCallResponse { call: live.map(|ring| ring.to_wire(world)), told: told.into_iter().collect() }
    }
}

impl Ring {
    /// What a user is told when it begins, or ends.
    fn step(&self, world: &World, is_over: bool, user: usize) -> Option<CallChanged> {
        let [from, to] = world.cast.chats[self.chat].members;
        let (version, change) = match is_over {
            true => (2, Change::Ended(Ended { signal: None, reason: "no_answer".to_owned() })),
            false if user == to => {
                let caller = world.cast.users[from].to_string();
                (1, Change::Incoming(Incoming { caller, media: None, expires_at_ms: 0 }))
            }
            false => return None,
        };
        let (call_id, match_id) = (self.id.clone(), world.cast.chats[self.chat].id.to_string());
        Some(CallChanged { call_id, match_id, version, change: Some(change), ..CallChanged::default() })
    }

    fn to_wire(&self, world: &World) -> Call {
        let [from, to] = world.cast.chats[self.chat].members.map(|user| world.cast.users[user].to_string());
        Call {
            call_id: self.id.clone(),
            match_id: world.cast.chats[self.chat].id.to_string(),
            caller: from,
            callee: to,
            state: CallState::Ringing.into(),
            version: 1,
            ..Call::default()
        }
    }
}

/// A call rings, and ends, unless one of the two is in another one.
pub(crate) fn ring(world: &Rc<World>, chat: usize) {
    let now = world.sim.now();
    let members = world.cast.chats[chat].members;
    let is_busy = |ring: &Ring| {
        let others = world.cast.chats[ring.chat].members;
        ring.ends_at > now && members.iter().any(|member| others.contains(member))
    };
    if world.calls.0.borrow().iter().any(is_busy) {
        return;
    }
    // As with signaling's ids, a later one is greater.
    let ring = Ring { id: format!("call-{:012}", now.as_micros()), chat, ends_at: now + RINGS };
    world.calls.0.borrow_mut().push(ring.clone());
    let process = world.sim.start();
    for (is_over, begins) in [(false, Duration::ZERO), (true, RINGS)] {
        for user in members {
            let Some(step) = ring.step(world, is_over, user) else { continue };
            let packet = Packet::Inbox(Rc::new(Event::CallChanged(step)));
            for told_at_ms in TOLD_AT_MS {
                let (net, packet) = (Rc::clone(&world.net), packet.clone());
                world.sim.after(begins + Duration::from_millis(told_at_ms), move || {
                    net.publish(process, Subject::User(user), packet);
                });
            }
        }
    }
}
