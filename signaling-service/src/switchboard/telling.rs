//! What the switchboard tells the parties of a call: changes go to every device, a signal to one that must take it.

use std::time::Duration;

use proto::inbox::{CallEvent, SignalTaken, call_event::Event};
use service_kit::bus::BusError;

use super::Switchboard;
use crate::{
    announcement::{self, Announcement},
    call::Call,
    failure::Failure,
};

/// How long the gateway of the addressed device has to say that it took a signal. Gateways wait 2 s for a command.
const RELAY_PATIENCE: Duration = Duration::from_secs(1);

impl Switchboard {
    pub(super) async fn announce(&self, call: &Call) {
        for announcement in announcement::of(call) {
            if let Err(failure) = self.publish(announcement).await {
                tracing::warn!(call_id = %call.id, %failure, "a change of a call was not announced");
            }
        }
    }

    /// Hands a signal to the other party's device. It is relayed once: a repeat is the sender's to decide.
    pub(super) async fn relay(&self, relayed: Announcement) -> Result<(), Failure> {
        let subject = self.bus.subjects().relay(&relayed.to);
        let event = CallEvent { event: Some(Event::CallChanged(relayed.event)) };
        match self.bus.request(&subject, &event, RELAY_PATIENCE).await {
            Ok(SignalTaken {}) => Ok(()),
            Err(BusError::NoResponders | BusError::TimedOut) => Err(Failure::NotTaken),
            Err(error) => Err(Failure::Unavailable(error.to_string())),
        }
    }

    async fn publish(&self, announcement: Announcement) -> Result<(), Failure> {
        let subject = self.bus.subjects().call_inbox(&announcement.to);
        let event = CallEvent { event: Some(Event::CallChanged(announcement.event)) };
        self.bus.publish(&subject, &event).await.map_err(|error| Failure::Unavailable(error.to_string()))
    }
}
