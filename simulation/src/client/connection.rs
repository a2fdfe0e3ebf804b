//! How a client connects, what it brings back, and what it loses with the connection.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

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
    pub(crate) fn gateway_died(&self, process: ProcessId) {
        let pipe = self.state.borrow().pipe.clone();
        if let Some((pipe, _)) = pipe.filter(|(_, at)| *at == process) {
            pipe.cut(Duration::ZERO);
        }
    }

    /// Connects, and again whenever the connection is lost.
    pub(super) async fn connect_for_ever(self: Rc<Self>) {
        loop {
            let gateways: Vec<_> = self.world.gateways.borrow().iter().flatten().cloned().collect();
            if let Some(gateway) = self.world.sim.chance(|rng| rng.choice(gateways)) {
                let pipe = Pipe::new(&self.world.net);
                gateway.accept(Rc::clone(&pipe));
                self.state.borrow_mut().pipe = Some((Rc::clone(&pipe), gateway.process));
                self.converse(&pipe).await;
                self.disconnected();
            }
            let wait = self.world.sim.chance(|rng| rng.u64(RECONNECT_MS));
            self.world.sim.sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn converse(self: &Rc<Self>, pipe: &Rc<Pipe>) {
        let (pid, offset) = self.brought();
        pipe.emit(Up::Connect { user: self.user, pid, offset });
        let first = self.world.sim.timeout(CONNECT_TIMEOUT, pipe.down.pop()).await.flatten();
        let Some(Down::Connected { pid }) = first else { return pipe.cut(Duration::ZERO) };
        self.connected(&pid);
        while let Some(down) = pipe.down.pop().await {
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

    fn connected(self: &Rc<Self>, pid: &str) {
        let mut state = self.state.borrow_mut();
        let is_recovered = state.pid.as_deref() == Some(pid);
        self.world.sim.trace(|| format!("{} connected, recovered: {is_recovered}", self.name));
        if !is_recovered {
            state.view.joined.clear();
            state.view.calls.clear();
        }
        state.view.note_missed_ends(&self.world);
        self.world.promises.connected(self.index, is_recovered);
        (state.is_connected, state.pid) = (true, Some(pid.to_owned()));
        let (buffered, pipe) = (std::mem::take(&mut state.buffered), state.pipe.clone());
        for (up, (pipe, _)) in buffered.into_iter().zip(std::iter::repeat(pipe).flatten()) {
            self.note_sent(&up);
            pipe.emit(up);
        }
        let missing: Vec<usize> =
            state.wanted.iter().copied().filter(|chat| !state.view.joined.contains(chat)).collect();
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
        let lost: Vec<_> = state.waiting.extract_if(.., |ack, _| !buffered.contains(ack)).collect();
        drop(state);
        drop(lost);
    }
}
