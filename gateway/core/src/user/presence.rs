//! Whether the user is online, and who is that the user's sockets watch.

use proto::UserId;

use crate::{
    output::Output,
    presence_changed::{self, Interest},
    sharing,
    step::{Limits, Step},
};

use super::User;

impl<T> User<T> {
    /// Whether a socket of the user is in use here: one that is not in the background.
    pub fn is_active(&self) -> bool {
        self.sockets.iter().any(|socket| !socket.is_in_background)
    }

    /// Says so if that has changed.
    pub(super) fn note_activity<L: Limits<Ticket = T>>(&self, was_active: bool, step: &mut Step<'_, L>) {
        if self.is_active() != was_active {
            step.out.push(Output::Activity(!was_active));
        }
    }

    /// What the user's sockets have to do with somebody else's presence.
    pub fn interest(&self, of: &UserId) -> Interest {
        presence_changed::interest(&self.sockets, of)
    }

    /// Somebody else has come online, or is so no more. See [`Output::Watch`].
    pub fn presence<L: Limits<Ticket = T>>(&mut self, of: &UserId, is_online: bool, step: &mut Step<'_, L>) {
        presence_changed::hear(&mut self.sockets, (of, is_online), step);
    }

    /// What somebody else shares has changed, or may have: it is asked what sockets may see that watch that one.
    pub fn shared_otherwise<L: Limits<Ticket = T>>(&self, of: &UserId, step: &mut Step<'_, L>) {
        for socket in &self.sockets {
            if presence_changed::interest(std::slice::from_ref(socket), of) != Interest::None {
                sharing::ask(socket, 0, step);
            }
        }
    }
}
