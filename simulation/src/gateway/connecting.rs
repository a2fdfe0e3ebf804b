//! How a socket comes and goes, and what it recovers; after `gateway/src/chat/connections.rs` and `recovery.rs`.

use std::{rc::Rc, time::Duration};

use gateway::chat::{Recovery, Resumed, resume};
use gateway_core::{cursor, pid::Pid};

use super::{
    Gateway, Presence, User, delivery, healing,
    joins::Join,
    order::{self, Command},
    sends::Draft,
    socket::Socket,
};
use crate::{
    mistake::Mistake,
    network::{self, Away, Packet, Subject},
    pipe::{Down, Pipe, Up},
};

/// How long a CONNECT may take before the transport is closed, so that the client comes back.
const DECISION_TIMEOUT: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Serves a connection from its CONNECT to its end.
pub(super) async fn serve(gateway: Rc<Gateway>, pipe: Rc<Pipe>) {
    let Some(Up::Connect { user, pid, offset }) = pipe.up.pop().await else { return };
    let presence = gateway.enter(user);
    let decision = connect(presence, Rc::clone(&pipe), (pid.as_deref(), offset.as_deref()));
    let Some(Ok(socket)) = gateway.world.sim.timeout(DECISION_TIMEOUT, decision).await else {
        return pipe.close();
    };
    pipe.send(Down::Connected { pid: socket.pid.as_str().to_owned() });
    connected(&socket);
    while let Some(up) = pipe.up.pop().await {
        match up {
            Up::Connect { .. } => break,
            Up::Send { ack, chat, client_id, body } => {
                order::take(&socket, chat, Command::Send(Draft { ack, client_id, body }));
            }
            Up::Join { ack, chat, since_seq, keep_others } => {
                order::take(&socket, chat, Command::Join(Join { ack, since_seq, keep_others }));
            }
            Up::Leave { ack, chat } => order::take(&socket, chat, Command::Leave { ack }),
        }
    }
    socket.user().sockets.borrow_mut().retain(|other| !Rc::ptr_eq(other, &socket));
    socket.session.borrow_mut().leave_all();
}

async fn connect(
    presence: Presence,
    pipe: Rc<Pipe>,
    brought: (Option<&str>, Option<&str>),
) -> Result<Rc<Socket>, Away> {
    let (gateway, user) = (Rc::clone(&presence.gateway), Rc::clone(&presence.user));
    while !user.is_subscribed.get() {
        gateway.world.sim.sleep(LOOK_AGAIN).await;
    }
    // Heads are read after the inbox is subscribed, and what it hears from here on is counted.
    let heard = user.heard.get();
    let recovery = recover(&gateway, &user, brought).await?;
    let Recovery { pid, replaces, chats, closed, untold } = recovery;
    let socket = Socket::new(presence, pipe, pid);
    if let Some(replaces) = replaces {
        socket.session.borrow_mut().restore(chats, Resumed { replaces, closed, untold, heard });
    }
    // Accepting takes a moment in which the socket hears nothing.
    gateway.world.sim.sleep(gateway.world.net.delay()).await;
    Ok(socket)
}

async fn recover(
    gateway: &Rc<Gateway>,
    user: &User,
    (pid, offset): (Option<&str>, Option<&str>),
) -> Result<Recovery, Away> {
    let fresh = |replaces: Option<Pid>| {
        let pid = Pid::from_random(gateway.world.sim.chance(|rng| std::array::from_fn(|_| rng.u8(..))), &user.id);
        Recovery { pid, replaces, chats: Vec::new(), closed: Vec::new(), untold: Vec::new() }
    };
    let Some(pid) = pid.and_then(|pid| Pid::of_user(pid, &user.id)) else { return Ok(fresh(None)) };
    let Some(positions) = offset.and_then(|offset| cursor::read(offset, pid.tag())) else {
        return Ok(fresh(Some(pid)));
    };
    let ids: Vec<String> = positions.iter().map(|position| position.chat.to_string()).collect();
    let mut heads = if ids.is_empty() {
        Vec::new()
    } else {
        gateway.ask(|world| Rc::clone(&world.store).heads(ids.clone(), true)).await?
    };
    if gateway.world.mistake == Some(Mistake::NoMembership) {
        for head in &mut heads {
            head.members.push(user.id.to_string());
        }
    }
    Ok(resume(&pid, &user.id, positions, &heads).unwrap_or_else(|| fresh(Some(pid))))
}

fn connected(socket: &Rc<Socket>) {
    socket.user().sockets.borrow_mut().push(Rc::clone(socket));
    let Some(resumed) = socket.session.borrow_mut().resumed.take() else { return };
    for chat in &resumed.closed {
        delivery::close(socket, chat);
    }
    for chat in socket.session.borrow_mut().open_chats_mut() {
        healing::heal_if_behind(socket, chat);
    }
    let has_missed_events = socket.user().heard.get() != resumed.heard;
    let of = Rc::clone(socket);
    let gateway = socket.gateway();
    gateway.world.sim.spawn(gateway.process, async move {
        replace_earlier(&of, &resumed.replaces);
        if has_missed_events {
            healing::compare_all(&of).await;
        }
        for chat in &resumed.untold {
            healing::tell_milestones(&of, chat).await;
        }
    });
}

fn replace_earlier(socket: &Socket, pid: &Pid) {
    let replaced = network::Inbox::Replaced {
        pid: pid.as_str().to_owned(),
        connected_at_ms: socket.connected_at_ms,
        connection: socket.connection,
    };
    let gateway = socket.gateway();
    gateway.world.net.publish(gateway.process, Subject::User(socket.user().index), Packet::Inbox(Rc::new(replaced)));
}
