//! Calls as far as gateways hear of them: each step is told to the inboxes of those whom it concerns, and repeated, as
//! signaling-service does.

use std::{rc::Rc, time::Duration};

use proto::inbox::{
    CallChanged,
    call_changed::{Change, Ended, Incoming},
    inbox_event::Event,
};

use crate::{
    network::{Packet, Subject},
    world::World,
};

/// When each step is told, from its beginning.
const TOLD_AT_MS: [u64; 3] = [0, 1_000, 3_000];
/// How long it rings.
const RINGS_MS: u64 = 2_500;

/// A call of a match's first member to the second rings, and ends.
pub(crate) fn ring(world: &Rc<World>, chat: usize) {
    let process = world.sim.start();
    let [first, second] = world.cast.chats[chat].members;
    let call_id = format!("call-{}", world.sim.now().as_micros());
    let incoming =
        Incoming { caller: world.cast.users[first].to_string(), media: None, expires_at_ms: world.sim.now_ms() };
    let ended = Ended { signal: None, reason: "no_answer".to_owned() };
    for (version, begins_ms, (users, change)) in
        [(1, 0, (vec![second], Change::Incoming(incoming))), (2, RINGS_MS, (vec![first, second], Change::Ended(ended)))]
    {
        let changed = CallChanged {
            call_id: call_id.clone(),
            match_id: world.cast.chats[chat].id.to_string(),
            version,
            change: Some(change),
            ..CallChanged::default()
        };
        let packet = Packet::Inbox(Rc::new(Event::CallChanged(changed)));
        for told_at_ms in TOLD_AT_MS {
            let (net, users, packet) = (Rc::clone(&world.net), users.clone(), packet.clone());
            world.sim.after(Duration::from_millis(begins_ms + told_at_ms), move || {
                for user in users {
                    net.publish(process, Subject::User(user), packet.clone());
                }
            });
        }
    }
}
