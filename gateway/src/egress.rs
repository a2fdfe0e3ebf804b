//! What the gateway asks of the services: sends and calls over NATS, everything else by gRPC. Every wait is bounded.

mod admission;
mod asking;
mod calling;
mod groups;
mod marks;
mod reads;
mod seen;
mod sending;
mod writes;

pub use admission::Admitted;
pub use gateway_core::{Snapshot, outcomes::outcome_of, output::Since, synced::Synced};

use std::time::Instant;

use proto::{
    UserId, chat::chat_service_client::ChatServiceClient, milestone::milestone_service_client::MilestoneServiceClient,
    signaling::signaling_service_client::SignalingServiceClient,
};
use service_kit::{
    Lifecycle,
    bus::Bus,
    grpc::{self, Client},
};

use crate::{failure::Failure, inboxes::Inboxes};
use admission::Admission;
use marks::Marks;
use seen::Seen;

/// Where the services are: for each a list of `host:port`, resolved by DNS and balanced over.
#[derive(Debug, Clone)]
pub struct Targets {
    /// chat-service.
    pub chat: Vec<String>,
    /// milestone-service.
    pub milestones: Vec<String>,
    /// signaling-service.
    pub signaling: Vec<String>,
}

/// The services as the gateway reaches them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Services {
    /// NATS, for what is published, and for calls.
    pub bus: Bus,
    /// NATS again, for sends: their answers come with what they make the sender hear.
    inboxes: Inboxes,
    chat: ChatServiceClient<Client>,
    milestones: MilestoneServiceClient<Client>,
    signaling: SignalingServiceClient<Client>,
    admission: Admission,
    marks: Marks,
    seen: Seen,
}

impl Services {
    /// Reaches the services over NATS and at `targets`. Returns at once: a service that is away makes calls fail.
    pub fn connect((bus, inboxes): (Bus, Inboxes), targets: &Targets, lifecycle: &Lifecycle) -> Self {
        let chat = ChatServiceClient::new(grpc::connect(&targets.chat, lifecycle));
        Self {
            bus,
            inboxes,
            marks: Marks::start(chat.clone(), lifecycle),
            seen: Seen::start(chat.clone(), lifecycle),
            chat,
            milestones: MilestoneServiceClient::new(grpc::connect(&targets.milestones, lifecycle)),
            signaling: SignalingServiceClient::new(grpc::connect(&targets.signaling, lifecycle)),
            admission: Admission::new(),
        }
    }

    /// Notes a user as seen now, some time.
    pub fn note_seen(&self, user: &UserId) {
        self.seen.note(user);
    }

    /// Opens a send: to be asked before anything else is done for it, and kept until it is answered.
    ///
    /// # Errors
    /// `RATE_LIMITED` while more are open than the services answer in time.
    pub fn admit(&self, now: Instant) -> Result<Admitted, Failure> {
        self.admission.admit(now)
    }
}
