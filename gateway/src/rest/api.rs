//! What the calls of the REST API stand on.

use std::sync::Arc;

use crate::{
    auth::Authenticator,
    egress::Services,
    limits::{Budget, UserLimits},
    revocations::Revocations,
    views::MessageFields,
};

/// What the REST API stands on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    /// Says who a token speaks for.
    pub authenticator: Arc<Authenticator>,
    /// Says whether the token was revoked.
    pub revocations: Revocations,
    /// Does the work.
    pub services: Services,
    /// What each user may do, on REST and sockets together.
    pub limits: Arc<UserLimits>,
    /// What bodies that arrive may hold, together with the sockets.
    pub held: Arc<Budget>,
    /// Where clients find the fields of an object message.
    pub message_fields: MessageFields,
}
