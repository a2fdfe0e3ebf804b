//! How a client connects, what it brings back, and what it loses with the connection.

use std::{collections::BTreeSet, mem, rc::Rc, time::Duration};

use super::Client;
use crate::{
    executor::ProcessId,
    pipe::{Down, Pipe, Up},
    store::EPOCH,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const RECONNECT_MS: std::ops::Range<u64> = 50..1_500;

impl Client {
    /// The gateway with this process is dead.
    pub(crate) fn lose(&self, process: ProcessId) {
        if self.state.borrow().pipe.as_ref().is_some_and(|(_, at)| *at == process) {
            self.cut(Duration::ZERO);
        }
    }

    /// Loses the connection, if there is one.
    pub(super) fn cut(&self, noticed: Duration) {
        if let Some((pipe, _)) = &self.state.borrow().pipe {
            pipe.cut(noticed);
        }
    }

    /// Connects, and again whenever the connection is lost.
    pub(super) async fn connect_for_ever(self: Rc<Self>) {
        let sim = &self.world.sim;
        loop {
            if let Some((process, gateway)) = self.gateways.any() {
                let pipe = Pipe::new(&self.world.net);
                gateway.accept(Rc::clone(&pipe));
                self.state.borrow_mut().pipe = Some((Rc::clone(&pipe), process));
                self.converse(&pipe).await;
                self.disconnected();
            }
            sim.sleep(Duration::from_millis(sim.chance(|rng| rng.u64(RECONNECT_MS)))).await;
        }
    }

    async fn converse(self: &Rc<Self>, pipe: &Rc<Pipe>) {
        let (pid, offset) = self.brought();
        pipe.up.send(Up::Connect { user: self.user, pid, offset });
        let first = self.world.sim.timeout(CONNECT_TIMEOUT, pipe.down.next()).await.flatten();
        let Some(Down::Connected { pid }) = first else { return pipe.cut(Duration::ZERO) };
        self.connected(pid, pipe);
        while let Some(down) = pipe.down.next().await {
            self.hear(down);
        }
    }

    /// What the official client brings back; a forger adds a match.
    fn brought(&self) -> (Option<String>, Option<String>) {
        let mut state = self.state.borrow_mut();
        let (pid, mut offset) = (state.pid.clone(), state.offset.clone());
        if let (Some(chat), Some(pid)) = (state.forged.take(), &pid) {
            let before = offset.unwrap_or_else(|| format!("2~{}~{EPOCH}", &pid[..8]));
            offset = Some(format!("{before}~{}:0:0", self.world.cast.chats[chat].id));
        }
        (pid, offset)
    }

    fn connected(self: &Rc<Self>, pid: String, pipe: &Rc<Pipe>) {
        let mut state = self.state.borrow_mut();
        let is_recovered = state.pid.as_ref() == Some(&pid);
        self.world.sim.trace(|| format!("{} connected, recovered: {is_recovered}", self.name));
        if !is_recovered {
            state.view.joined.clear();
            state.view.calls.clear();
        }
        state.view.note_missed_ends(&self.world.calls);
        self.world.promises.connected(self.slot, is_recovered);
        (state.is_connected, state.pid) = (true, Some(pid));
        for up in mem::take(&mut state.buffered) {
            self.note_sent(&up);
            pipe.up.send(up);
        }
        let missing: Vec<usize> = state.wanted.difference(&state.view.joined).copied().collect();
        drop(state);
        for chat in missing {
            self.join(chat, true);
        }
    }

    fn disconnected(&self) {
        let mut state = self.state.borrow_mut();
        self.world.sim.trace(|| format!("{} disconnected", self.name));
        (state.is_connected, state.pipe) = (false, None);
        state.joining.clear();
        state.view.acked_joins.clear();
        state.view.typists.clear();
        // What was buffered is emitted later, and may be acked then.
        let buffered: BTreeSet<u64> = state.buffered.iter().filter_map(Up::ack).collect();
        state.waiting.retain(|ack, _| buffered.contains(ack));
    }
}
