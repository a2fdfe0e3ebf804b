//! One step of the core for a user: what it puts out is carried out on the simulated network.

use std::rc::Rc;

use gateway_core::{Output, Step, output::Patience};
use proto::{
    UserId,
    inbox::{SoftEvent, inbox_event::Event},
};

use super::{Core, Gateway, SETTINGS, State, User, allowance::Allowance};
use crate::{
    network::{Packet, Subject},
    pipe::Down,
    world::World,
};

impl Gateway {
    /// Lets the core decide something for a user, and carries it out.
    pub(super) fn step<T>(
        self: &Rc<Self>,
        user: &Rc<User>,
        act: impl FnOnce(&mut Core, &mut Step<'_, Allowance>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let mut state = user.state.borrow_mut();
        let (at, limits) = (self.moment(), &self.allowance);
        let value = act(&mut state.core, &mut Step { user: &user.id, at, limits, settings: SETTINGS, out: &mut out });
        for output in out {
            self.carry_out(user, &mut state, output);
        }
        value
    }

    fn carry_out(self: &Rc<Self>, user: &Rc<User>, state: &mut State, output: Output<()>) {
        let pipe = |id| state.pipes.iter().find(|(other, _)| *other == id).map(|(_, pipe)| pipe);
        match output {
            Output::Emit(id, event) => {
                if let Some(pipe) = pipe(id) {
                    pipe.down.send(Down::Event {
                        name: event.name,
                        json: event.json().to_owned(),
                        cursor: event.cursor,
                    });
                }
            }
            Output::Ack(id, ack, json) => {
                if let Some(pipe) = pipe(id) {
                    pipe.down.send(Down::Ack { ack, json });
                }
            }
            Output::Close(id) => {
                if let Some(pipe) = pipe(id) {
                    pipe.close();
                }
            }
            Output::Publish(to, event, patience) => self.publish(state, (&to, event), patience),
            Output::Ask(ask) => self.spawn(user, async |gateway, user| {
                if let Some(answer) = gateway.answer(user, ask).await {
                    gateway.step(user, |core, step| core.answered(answer, step));
                }
            }),
            Output::After(pause, timer) => self.spawn(user, async move |gateway, user| {
                gateway.world.sim.sleep(pause).await;
                gateway.step(user, |core, step| core.wake(timer, step));
            }),
            Output::AwaitRoom(id, chat) => self.spawn(user, async move |gateway, user| {
                gateway.world.sim.sleep(gateway.world.net.delay()).await;
                gateway.step(user, |core, step| core.has_room(id, &chat, step));
            }),
            // Receipts are turned off here.
            Output::Prove(_)
            | Output::Rejected(_)
            | Output::PauseReads(_)
            | Output::Watch(..)
            | Output::Activity(_) => {}
        }
    }

    fn spawn(self: &Rc<Self>, user: &Rc<User>, task: impl AsyncFnOnce(&Rc<Self>, &Rc<User>) + 'static) {
        let (gateway, user) = (Rc::clone(self), Rc::clone(user));
        self.world.sim.spawn(self.process, async move { task(&gateway, &user).await });
    }

    /// Publishes; what is worth no wait is dropped while the connection is broken.
    fn publish(&self, state: &mut State, (to, event): (&[UserId], SoftEvent), patience: Patience) {
        let Some(event) = event.event.map(|event| Rc::new(Event::from(event))) else { return };
        let World { net, cast, .. } = &*self.world;
        match patience {
            Patience::None(first) if !net.is_up(self.process) => {
                if let Some((id, chat)) = first {
                    state.core.typing_was_not_told(id, &chat);
                }
            }
            _ => {
                for index in to.iter().filter_map(|user| cast.user(user.as_str())) {
                    net.publish(self.process, Subject::User(index), Packet::Inbox(Rc::clone(&event)));
                }
            }
        }
    }
}
