//! What every part of the chat application needs, and the application itself.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use service_kit::Lifecycle;

use super::{Socket, Users, commands, connections};
use crate::{
    auth::Authenticator,
    egress::Services,
    inboxes::Inboxes,
    limits::{SeatLimits, UserLimits},
    revocations::Revocations,
    socketio::{Accept, Application, CloseReason, Connect, Event, Refuse},
    views::MessageFields,
};

/// What every part of the chat application needs.
#[derive(Debug)]
pub struct Context {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Knows which tokens were revoked.
    pub revocations: Revocations,
    /// The other services.
    pub services: Services,
    /// What each user may do, shared with REST.
    pub limits: Arc<UserLimits>,
    /// How many sockets each user may have.
    pub seats: SeatLimits,
    /// What the connected users hear.
    pub inboxes: Inboxes,
    /// Who is connected.
    pub users: Arc<Users>,
    /// Where clients find the fields of an object message.
    pub message_fields: MessageFields,
    /// Owns the tasks.
    pub lifecycle: Lifecycle,
}

/// The chat application, to be served by [`crate::socketio::Server`].
#[derive(Debug, Clone)]
pub struct Chat(pub Arc<Context>);

impl Application for Chat {
    type Socket = Socket;

    /// No command takes binary data.
    const TAKES_ATTACHMENTS: bool = false;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        connections::connect(&self.0, request).await
    }

    fn connected(&self, socket: &Arc<Socket>) {
        connections::connected(&self.0, socket);
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        // A panic was logged where it happened, and answered as the reply was dropped. The connection goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| commands::handle(&self.0, socket, &event, Instant::now())));
    }

    fn disconnected(&self, socket: &Arc<Socket>, reason: CloseReason) {
        connections::disconnected(&self.0, socket, reason);
    }
}

/// How long a CONNECT may take before the transport is closed, so that the client comes back.
pub(crate) const CONNECT_DECISION_TIMEOUT: Duration = Duration::from_secs(4);
