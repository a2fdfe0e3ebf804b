//! Who is online: what the other gateways are told of the users who are here, and what is learned of those whom sockets
//! here watch.
//!
//! Nobody stores who is online. A gateway that holds a user answers for it when its inbox is asked (`asking`), and
//! tells once when the user comes or has been gone for a while (`leaving`). Gateways whose users watch that one listen
//! (`hearing`).

mod asking;
mod hearing;
mod leaving;

pub(super) use asking::{answer, ask, look};
pub(super) use hearing::hear;
pub(super) use leaving::{note, note_long_stays, tell_gone};

use std::sync::Arc;

use gateway_core::{Output, Step};
use proto::UserId;

use super::{
    context::Context,
    users::{State, User},
};
use crate::{egress::Admitted, moment};

/// A user's core hears from now on of another one's presence. Returns what comes out of it if something else is known
/// than a socket was told.
pub(super) fn watch(
    context: &Context,
    user: &Arc<User>,
    state: &mut State,
    (of, told): (&UserId, Option<bool>),
) -> Vec<Output<Admitted>> {
    let mut out = Vec::new();
    if let Some(is_online) = context.presence.watched.watch(of, user, told) {
        let (at, settings) = (moment::now(), context.settings);
        let mut step = Step { user: &user.id, at, limits: context, settings, out: &mut out };
        state.core.presence(of, is_online, &mut step);
    }
    out
}
