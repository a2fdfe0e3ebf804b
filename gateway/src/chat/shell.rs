//! One step of the core for a user: the user is locked, the core decides, and what it puts out is carried out before
//! anything else happens to the user's sockets. So what is emitted keeps its order.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use gateway_core::{Answer, Ask, Output, SocketId, Step, Timer, healing};
use proto::MatchId;
use service_kit::mutation::{self, Mutation};

use super::{
    context::Context,
    emit::{self, Emission},
    presence, services,
    users::{Socket, State, User},
};
use crate::{egress::Admitted, moment, socketio::Emitter};

/// The core, as this shell has it.
pub(super) type Core = gateway_core::User<Admitted>;

/// How often a queue is looked at that is to be drained. A client that does not read at all is cut off by the write
/// deadline.
const DRAIN_CHECK: Duration = Duration::from_millis(20);

/// What is left to do for the core outside of its lock.
enum Task {
    Ask(Ask<Admitted>),
    After(Duration, Timer),
    AwaitRoom(Arc<Socket>, MatchId),
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Stepped<T> {
    /// What the core gave back.
    pub(super) value: T,
    /// Everything that was emitted is on its way.
    pub(super) is_sent: bool,
}

/// Lets the core decide something for a user, and carries it out.
pub(super) fn step<T>(
    context: &Arc<Context>,
    user: &Arc<User>,
    act: impl FnOnce(&mut Core, &mut Step<'_, Context>) -> T,
) -> Stepped<T> {
    step_on(None, context, user, act)
}

/// The same, on the task of a socket's connection: the sends that it begins for this socket run on that task.
pub(super) fn step_on<T>(
    task_of: Option<SocketId>,
    context: &Arc<Context>,
    user: &Arc<User>,
    act: impl FnOnce(&mut Core, &mut Step<'_, Context>) -> T,
) -> Stepped<T> {
    let mut state = user.state();
    let (mut out, settings) = (Vec::new(), context.settings);
    let mut step = Step { user: &user.id, at: moment::now(), limits: &**context, settings, out: &mut out };
    let value = act(&mut state.core, &mut step);
    let is_sent = out.is_empty() || run((context, task_of), user, &mut state, out);
    Stepped { value, is_sent }
}

/// Carries outputs out, in their order. False if something could not be emitted.
fn run(
    (context, task_of): (&Arc<Context>, Option<SocketId>),
    user: &Arc<User>,
    state: &mut State,
    out: Vec<Output<Admitted>>,
) -> bool {
    let mut out = VecDeque::from(out);
    let mut emission = Emission::default();
    while let Some(output) = out.pop_front() {
        // What goes to one socket goes in one write.
        let Some(output) = emission.take(&state.sockets, output) else { continue };
        let task = match output {
            Output::Publish(to, event, patience) => {
                emit::publish(context, state, (to, event), patience);
                continue;
            }
            Output::Watch(of, told) => {
                out.extend(presence::watch(context, user, state, (&of, told)));
                continue;
            }
            Output::Activity(is_active) => {
                presence::note(context, user, is_active);
                continue;
            }
            Output::Ask(ask) => match socket_of_task(state, task_of, &ask) {
                Some(socket) => {
                    socket.emitter.run(ask_for((Arc::clone(context), task_of), Arc::clone(user), ask));
                    continue;
                }
                None => Task::Ask(ask),
            },
            Output::After(_, Timer::Heal(..)) if mutation::is_broken(Mutation::NoGapHealing) => continue,
            Output::After(pause, timer) => Task::After(pause, timer),
            Output::AwaitRoom(id, chat) => match has_room(context, user, state, (id, &chat)) {
                Ok(more) => {
                    out.extend(more);
                    continue;
                }
                Err(socket) => Task::AwaitRoom(socket, chat),
            },
            _ => continue,
        };
        spawn(context, user, task);
    }
    emission.flush(&state.sockets)
}

/// Tells the core that there is room in what is to be sent to a socket, if there is: with what comes out of that. Of a
/// socket that is gone nothing comes out.
fn has_room(
    context: &Context,
    user: &User,
    state: &mut State,
    (id, chat): (SocketId, &MatchId),
) -> Result<Vec<Output<Admitted>>, Arc<Socket>> {
    let mut out = Vec::new();
    if let Some(socket) = emit::find(&state.sockets, id) {
        // Another chat that is healed as well may have used the room.
        if !is_drained(&socket.emitter) {
            return Err(Arc::clone(socket));
        }
        let (at, settings) = (moment::now(), context.settings);
        state.core.has_room(id, chat, &mut Step { user: &user.id, at, limits: context, settings, out: &mut out });
    }
    Ok(out)
}

fn is_drained(emitter: &Emitter) -> bool {
    let is_drained =
        emitter.queued_bytes() <= healing::DRAINED_BYTES && emitter.queued_packets() <= healing::DRAINED_PACKETS;
    is_drained || emitter.is_closed()
}

fn spawn(context: &Arc<Context>, user: &Arc<User>, task: Task) {
    let (of, user) = (Arc::clone(context), Arc::clone(user));
    match task {
        Task::Ask(ask @ Ask::Send { .. }) => context.lifecycle.spawn(ask_for((of, None), user, ask)),
        // In a box, as sends are more frequent and need less room.
        Task::Ask(ask) => context.lifecycle.spawn(Box::pin(ask_for((of, None), user, ask))),
        Task::After(pause, timer) => context.lifecycle.spawn(wake(of, user, pause, timer)),
        Task::AwaitRoom(socket, chat) => context.lifecycle.spawn(await_room(of, user, socket, chat)),
    }
}

/// The socket on the task of whose connection this runs, if it is what sends and is still here: then the send needs no
/// task of its own.
fn socket_of_task<'a>(state: &'a State, task_of: Option<SocketId>, ask: &Ask<Admitted>) -> Option<&'a Arc<Socket>> {
    let Ask::Send { turn, .. } = ask else { return None };
    task_of.filter(|id| *id == turn.socket).and_then(|id| emit::find(&state.sockets, id))
}

async fn ask_for((context, task_of): (Arc<Context>, Option<SocketId>), user: Arc<User>, ask: Ask<Admitted>) {
    let Some(mut answer) = services::answer(&context, &user.id, ask).await else { return };
    step_on(task_of, &context, &user, |core, step| {
        if let Answer::Identified(_, _, Ok((id, token))) = &mut answer {
            // A revocation may have come between the check and this moment.
            token.is_revoked = context.is_revoked(id, token.issued_at_ms);
        }
        core.answered(answer, step);
    });
}

async fn wake(context: Arc<Context>, user: Arc<User>, pause: Duration, timer: Timer) {
    let ends_with_process = matches!(timer, Timer::Renew(..) | Timer::CallIsLost(..) | Timer::FindCalls(..));
    tokio::select! {
        () = context.lifecycle.stopping().cancelled(), if ends_with_process => {}
        () = tokio::time::sleep(pause) => drop(step(&context, &user, |core, step| core.wake(timer, step))),
    }
}

/// Waits until the client has read most of what it was sent, or is gone.
async fn await_room(context: Arc<Context>, user: Arc<User>, socket: Arc<Socket>, chat: MatchId) {
    loop {
        tokio::time::sleep(DRAIN_CHECK).await;
        if is_drained(&socket.emitter) {
            let id = socket.id;
            drop(socket);
            let mut state = user.state();
            run((&context, None), &user, &mut state, vec![Output::AwaitRoom(id, chat)]);
            return;
        }
    }
}
