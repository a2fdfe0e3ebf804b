//! How a socket comes and goes: its token, its seat, its user's inbox, what it brings back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use gateway_core::{
    Arrival,
    epoch::Epoch,
    pid::{self, Pid},
    recovery::{Brought, Recovery},
    validity::Validity,
};
use proto::{Code, UserId, chat::HeadsResponse};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use tracing::debug;

use super::{
    context::Context,
    identity, seats, shell,
    users::{Socket, Stay},
};
use crate::{
    metrics, moment,
    socketio::{Accept, CloseReason, Connect, Emitter, Refuse},
};

/// How long a CONNECT may take before the transport is closed, so that the client comes back.
const DECISION_TIMEOUT: Duration = Duration::from_secs(4);

/// What `auth` holds. The client itself adds `pid` and `offset`; malformed ones count as none. `recovery` is the app's
/// word, and a malformed one is refused as a malformed token is: the app would be given arguments that its handlers do
/// not take.
#[derive(Deserialize)]
struct Auth {
    token: String,
    /// False: no pid, and no cursor in any event.
    recovery: Option<bool>,
    pid: Option<Value>,
    offset: Option<Value>,
}

/// What a socket starts with.
enum Start {
    /// Nothing, and nothing of it will be recovered.
    Unrecoverable(Epoch),
    /// What the client brought back, in a database of this epoch; and how much the inbox had heard before it was looked
    /// up.
    Recovered((Recovery, Epoch), u64),
}

/// Decides a CONNECT.
pub(super) async fn connect(context: &Arc<Context>, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
    if request.namespace != "/" {
        return Err(Refuse::InvalidNamespace);
    }
    let auth = serde_json::from_str::<Auth>(request.auth).map_err(|_| seats::refusal(Code::Unauthenticated))?;
    let decision = timeout(DECISION_TIMEOUT, async {
        let (user, token) = admit(context, &auth.token).await?;
        let pid = auth.pid.as_ref().and_then(Value::as_str);
        let stay = seats::seat(context, context.users.enter(user), pid)?;
        let user = Arc::clone(stay.user());
        if let Err(error) = context.inboxes.subscribed(&user.id, user.sid).await {
            // One line for each client that waits would say no more.
            debug!(%error, "a CONNECT cannot be decided");
            return Err(Refuse::Close);
        }
        // Heads are read after the inbox is subscribed, and what it hears from here on is counted, so that nothing
        // falls between them: the socket itself hears nothing before it is connected.
        let heard = user.state().core.heard();
        let start = match auth.recovery {
            Some(false) => Start::Unrecoverable(known_epoch(context)?),
            _ => Start::Recovered(recover(context, &user.id, &auth).await?, heard),
        };
        Ok(open(request.emitter, stay, token, start))
    });
    decision.await.unwrap_or(Err(Refuse::Close))
}

async fn admit(context: &Context, token: &str) -> Result<(UserId, Validity), Refuse> {
    identity::identify(context, token).await.map_err(|failure| match failure.code {
        // What cannot be decided now closes the transport, so that the client comes back.
        Code::Unavailable => Refuse::Close,
        code => seats::refusal(code),
    })
}

/// Recovers what the client brought back, or starts anew. Fails while chat-service cannot say how far the chats have
/// come.
async fn recover(context: &Context, user: &UserId, auth: &Auth) -> Result<(Recovery, Epoch), Refuse> {
    // One whose user has read too much lately starts anew, and pages.
    let is_affordable = context.limits.may_read(user.as_str(), Instant::now()).is_ok();
    let offset = auth.offset.as_ref().filter(|_| is_affordable).and_then(Value::as_str);
    let brought = Brought::read(user, auth.pid.as_ref().and_then(Value::as_str), offset);
    let HeadsResponse { heads, epoch } = match brought.matches() {
        none if none.is_empty() => HeadsResponse::default(),
        matches => context.services.heads_of_user(matches, user).await.map_err(|_| Refuse::Close)?,
    };
    let epoch = Epoch::read(&epoch).map_or_else(|| known_epoch(context), Ok)?;
    let mut random = [0; pid::RANDOM_BYTES];
    rand::fill(&mut random).map_err(|_| Refuse::Close)?;
    Ok((brought.recover(user, (&heads, epoch), Pid::from_random(random, user)), epoch))
}

/// The epoch that this gateway heard of last. It has heard of one before it takes any token.
fn known_epoch(context: &Context) -> Result<Epoch, Refuse> {
    context.revocations.epoch().ok_or(Refuse::Close)
}

fn open(emitter: Emitter, stay: Stay, token: Validity, start: Start) -> Accept<Socket> {
    let (arrival, pid) = match start {
        Start::Unrecoverable(epoch) => (Arrival::unrecoverable(emitter.sid(), epoch, token, moment::now()), None),
        Start::Recovered(recovered, heard) => {
            let pid = recovered.0.pid.clone();
            emitter.restore_sid(&pid.sid());
            (Arrival::recovered(recovered, heard, token, moment::now()), Some(pid.as_str().to_owned()))
        }
    };
    Accept { socket: Socket::new(emitter, stay, arrival), pid }
}

/// The socket is open: from now on it hears what its user hears, also a call that rings already.
pub(super) fn connected(context: &Arc<Context>, socket: &Arc<Socket>) {
    metrics::connected();
    debug!(user_id = %socket.user().id, sid = socket.emitter.sid(), "connected");
    let Some(mut arrival) = socket.arrival() else { return };
    let user = socket.user();
    user.add(socket);
    shell::step(context, user, |core, step| {
        // A revocation may have come between the check and this moment.
        arrival.note_revoked(|issued_at_ms| context.is_revoked(&user.id, issued_at_ms));
        core.connected(*arrival, step);
    });
}

/// The socket is gone.
pub(super) fn disconnected(context: &Arc<Context>, socket: &Arc<Socket>, reason: CloseReason) {
    socket.stay.leave_seat();
    let was_here = shell::step(context, socket.user(), |core, step| core.disconnected(socket.id, step)).value;
    socket.user().remove(socket);
    // One whose connection broke just as it was accepted was never counted.
    if was_here {
        metrics::disconnected(reason.as_str());
    }
    debug!(user_id = %socket.user().id, sid = socket.emitter.sid(), reason = reason.as_str(), "disconnected");
}
