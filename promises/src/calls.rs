//! Whether the two sides of a call agree: who accepted it, and how it ended.

use std::collections::VecDeque;

use crate::history::Reason;

/// Calls that are remembered: a match has one at a time, and late events of the ones before.
const REMEMBERED: usize = 8;
/// What the devices hear that did not accept a call that another one did: no end of the call.
pub const ELSEWHERE: Reason = "answered_elsewhere";

/// Where a client hears of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device {
    /// The client.
    pub(crate) slot: u8,
    /// Which of its pages: it takes over its call when it gets another pid.
    pub(crate) page: u16,
    /// Which of its pids: with another one it may hear what is meant for others until it has taken over.
    pub(crate) session: u16,
}

#[derive(Debug, Clone)]
struct Call {
    id: u64,
    accepted_by: Option<Device>,
    end: Option<Reason>,
}

/// The latest calls of a match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(VecDeque<Call>);

impl Calls {
    /// A device's acceptance was acked; which other one's was before.
    pub(crate) fn accepted(&mut self, id: u64, device: Device) -> Option<Device> {
        let call = self.call(id);
        let before = *call.accepted_by.get_or_insert(device);
        ((before.slot, before.page) != (device.slot, device.page)).then_some(before)
    }

    /// A device was told of the end; what other end was told before.
    pub(crate) fn ended(&mut self, id: u64, device: Device, reason: Reason) -> Option<Reason> {
        let call = self.call(id);
        let is_session = |by: Device| (by.slot, by.session) == (device.slot, device.session);
        if reason == ELSEWHERE && !call.accepted_by.is_some_and(is_session) {
            return None;
        }
        let before = *call.end.get_or_insert(reason);
        (before != reason).then_some(before)
    }

    fn call(&mut self, id: u64) -> &mut Call {
        let at = self.0.iter().position(|call| call.id == id).unwrap_or_else(|| {
            if self.0.len() >= REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back(Call { id, accepted_by: None, end: None });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}
