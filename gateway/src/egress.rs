//! What the gateway asks of the services: sends and calls over NATS, everything else by gRPC. Every wait is bounded.

mod admission;
mod calling;
mod outcomes;
mod reads;
mod sending;
mod tries;
mod writes;

pub use admission::Admitted;
pub use outcomes::outcome_of;
pub use reads::Snapshot;
pub use tries::{Route, Tries};

use std::time::Instant;

use proto::{
    chat::chat_service_client::ChatServiceClient, milestone::milestone_service_client::MilestoneServiceClient,
    signaling::signaling_service_client::SignalingServiceClient,
};
use service_kit::{
    Lifecycle,
    bus::Bus,
    grpc::{self, Client},
};
use tonic::{Code, Response, Status};

use crate::failure::Failure;
use admission::Admission;

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
    /// NATS, for what is published and subscribed.
    pub bus: Bus,
    chat: ChatServiceClient<Client>,
    milestones: MilestoneServiceClient<Client>,
    signaling: SignalingServiceClient<Client>,
    admission: Admission,
}

impl Services {
    /// Reaches the services over `bus` and at `targets`. Returns at once: a service that is away makes calls fail.
    pub fn connect(bus: Bus, targets: &Targets, lifecycle: &Lifecycle) -> Self {
        Self {
            bus,
            chat: ChatServiceClient::new(grpc::connect(&targets.chat, lifecycle)),
            milestones: MilestoneServiceClient::new(grpc::connect(&targets.milestones, lifecycle)),
            signaling: SignalingServiceClient::new(grpc::connect(&targets.signaling, lifecycle)),
            admission: Admission::new(),
        }
    }

    /// Opens a send: to be asked before anything else is done for it, and kept until it is answered.
    ///
    /// # Errors
    /// `RATE_LIMITED` while more are open than the services answer in time.
    pub fn admit(&self, now: Instant) -> Result<Admitted, Failure> {
        self.admission.admit(now)
    }
}

/// How often a call is made when its replica turns out to be gone; another one may be there.
const TRIES: usize = 3;

/// Makes a gRPC call. All of ours may be repeated: they read, or they are idempotent.
async fn ask<T, F: Future<Output = Result<Response<T>, Status>>>(call: impl Fn() -> F) -> Result<T, Failure> {
    let mut tries = 1;
    loop {
        match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if tries < TRIES && is_worth_another_try(&status) => tries += 1,
            Err(status) => return Err(status.into()),
        }
    }
}

fn is_worth_another_try(status: &Status) -> bool {
    use std::error::Error;
    // A status with a source was made here, of a broken connection. A missed deadline has used up its time.
    status.code() != Code::DeadlineExceeded && (status.code() == Code::Unavailable || status.source().is_some())
}
