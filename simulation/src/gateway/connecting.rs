//! How a socket comes and goes.

use std::{rc::Rc, time::Duration};

use gateway_core::{
    Arrival, ClientEvent,
    epoch::Epoch,
    pid::Pid,
    recovery::{Brought, Recovery},
    validity::Validity,
};

use super::{Gateway, Presence, User, running::step};
use crate::{
    network::Away,
    pipe::{Down, Pipe, Up},
    store::EPOCH,
};

/// How long a CONNECT may take before the transport is closed, so that the client comes back.
const DECISION_TIMEOUT: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Tokens last longer than any run.
const TOKEN: Validity = Validity { issued_at_ms: 0, expires_at_s: i64::MAX / 1_000, is_revoked: false };

/// Serves a connection from its CONNECT to its end.
pub(super) async fn serve(gateway: Rc<Gateway>, pipe: Rc<Pipe>) {
    let Some(Up::Connect { user, pid, offset }) = pipe.up.pop().await else { return };
    let presence = gateway.enter(user);
    let decision = connect(&presence, (pid.as_deref(), offset.as_deref()));
    let Some(Ok((recovered, heard))) = gateway.world.sim.timeout(DECISION_TIMEOUT, decision).await else {
        return pipe.close();
    };
    pipe.send(Down::Connected { pid: recovered.0.pid.as_str().to_owned() });
    let arrival = Arrival::recovered(recovered, heard, TOKEN, gateway.moment());
    let (id, user) = (arrival.id(), &presence.user);
    user.state.borrow_mut().pipes.push((id, Rc::clone(&pipe)));
    step(&gateway, user, |core, step| core.connected(arrival, step));
    while let Some(Up::Event { name, arguments, ack }) = pipe.up.pop().await {
        let [first, second] = &arguments;
        let arguments = [first.as_deref(), second.as_deref()];
        let event = ClientEvent { name, arguments, ack: Some(ack), is_invalid: false };
        step(&gateway, user, |core, step| core.client_event(id, &event, step));
    }
    step(&gateway, user, |core, step| core.disconnected(id, step));
    user.state.borrow_mut().pipes.retain(|(other, _)| *other != id);
}

async fn connect(presence: &Presence, brought: (Option<&str>, Option<&str>)) -> Result<((Recovery, Epoch), u64), Away> {
    let Presence { gateway, user } = presence;
    while !user.is_subscribed.get() {
        gateway.world.sim.sleep(LOOK_AGAIN).await;
    }
    // Heads are read after the inbox is subscribed, and what it hears from here on is counted.
    let heard = user.state.borrow().core.heard();
    let recovered = recover(gateway, user, brought).await?;
    // Accepting takes a moment in which the socket hears nothing.
    gateway.world.sim.sleep(gateway.world.net.delay()).await;
    Ok((recovered, heard))
}

async fn recover(
    gateway: &Rc<Gateway>,
    user: &User,
    (pid, offset): (Option<&str>, Option<&str>),
) -> Result<(Recovery, Epoch), Away> {
    let brought = Brought::read(&user.id, pid, offset);
    let heads = match brought.matches() {
        none if none.is_empty() => Vec::new(),
        matches => gateway.ask(|world| Rc::clone(&world.store).heads(matches.clone(), true)).await?,
    };
    let random = gateway.world.sim.chance(|rng| std::array::from_fn(|_| rng.u8(..)));
    // Nobody restores this database.
    let epoch = Epoch::read(EPOCH).ok_or(Away)?;
    Ok((brought.recover(&user.id, (&heads, epoch), Pid::from_random(random, &user.id)), epoch))
}
