//! Those whose sockets watch whether somebody is online: they are told, and for them it is asked again and again.

mod rounds;
mod telling;

use std::sync::Arc;

use super::{context::Context, presence};

/// Tells watchers and asks for them, and tells other gateways who has gone, until the process stops.
pub async fn keep_presence(context: Arc<Context>) {
    tokio::join!(
        rounds::run(&context),
        rounds::ask_gone(&context),
        telling::tell(&context),
        telling::judge_again(&context),
        presence::tell_gone(&context),
        presence::note_long_stays(&context),
    );
}
