//! One step of the core for a user: what it puts out is carried out on the simulated network.

use std::rc::Rc;

use gateway_core::{
    Output, Step,
    output::{Ask, Patience},
};
use proto::{
    UserId,
    inbox::{SoftEvent, inbox_event::Event},
};

use super::{Core, Gateway, SETTINGS, State, User, allowance::Allowance, asking};
use crate::{
    network::{Packet, Subject},
    pipe::Down,
};

/// Lets the core decide something for a user, and carries it out.
pub(super) fn step<T>(
    gateway: &Rc<Gateway>,
    user: &Rc<User>,
    act: impl FnOnce(&mut Core, &mut Step<'_, Allowance>) -> T,
) -> T {
    let mut out = Vec::new();
    let mut state = user.state.borrow_mut();
    let (at, limits) = (gateway.moment(), &gateway.allowance);
    let value = act(&mut state.core, &mut Step { user: &user.id, at, limits, settings: SETTINGS, out: &mut out });
    for output in out {
        run(gateway, user, &mut state, output);
    }
    value
}

fn run(gateway: &Rc<Gateway>, user: &Rc<User>, state: &mut State, output: Output<()>) {
    let pipe = |id| state.pipes.iter().find(|(other, _)| *other == id).map(|(_, pipe)| pipe);
    match output {
        Output::Emit(id, event) => {
            if let Some(pipe) = pipe(id) {
                pipe.send(Down::Event { name: event.name, json: event.json().to_owned(), cursor: event.cursor });
            }
        }
        Output::Ack(id, ack, json) => {
            if let Some(pipe) = pipe(id) {
                pipe.send(Down::Ack { ack, json });
            }
        }
        Output::Close(id) => {
            if let Some(pipe) = pipe(id) {
                pipe.close();
            }
        }
        Output::Publish(to, event, patience) => publish(gateway, state, (&to, event), patience),
        Output::Ask(ask) => spawn(gateway, user, async |gateway, user| bring(gateway, user, ask).await),
        Output::After(pause, timer) => spawn(gateway, user, async move |gateway, user| {
            gateway.world.sim.sleep(pause).await;
            step(gateway, user, |core, step| core.wake(timer, step));
        }),
        Output::AwaitRoom(id, chat) => spawn(gateway, user, async move |gateway, user| {
            gateway.world.sim.sleep(gateway.world.net.delay()).await;
            step(gateway, user, |core, step| core.has_room(id, &chat, step));
        }),
        Output::Rejected(_) | Output::PauseReads(_) => {}
    }
}

fn spawn(gateway: &Rc<Gateway>, user: &Rc<User>, task: impl AsyncFnOnce(&Rc<Gateway>, &Rc<User>) + 'static) {
    let (of, user) = (Rc::clone(gateway), Rc::clone(user));
    gateway.world.sim.spawn(gateway.process, async move { task(&of, &user).await });
}

async fn bring(gateway: &Rc<Gateway>, user: &Rc<User>, ask: Ask<()>) {
    if let Some(answer) = asking::answer(gateway, user, ask).await {
        step(gateway, user, |core, step| core.answered(answer, step));
    }
}

/// Publishes; what is worth no wait is dropped while the connection is broken.
fn publish(gateway: &Gateway, state: &mut State, (to, event): (&[UserId], SoftEvent), patience: Patience) {
    let world = &gateway.world;
    let Some(event) = event.event.map(|event| Rc::new(Event::from(event))) else { return };
    match patience {
        Patience::None(first) if !world.net.is_up(gateway.process) => {
            if let Some((id, chat)) = first {
                state.core.typing_was_not_told(id, &chat);
            }
        }
        _ => {
            for index in to.iter().filter_map(|user| world.cast.user(user.as_str())) {
                world.net.publish(gateway.process, Subject::User(index), Packet::Inbox(Rc::clone(&event)));
            }
        }
    }
}
