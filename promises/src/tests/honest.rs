//! A system that keeps its promises, in a few lines: whatever it does, the checker has nothing to complain about.

use proptest::prelude::*;

use super::*;

const CLIENTS: u8 = 3;

/// One client as the honest system and the client itself know it.
#[derive(Default, Clone)]
struct Client {
    session: u32,
    joined: bool,
    cursor: usize,
    /// The cursor that the client was last given.
    offset: usize,
    next_index: u32,
    /// Sent and not acked, oldest first.
    open: Vec<u32>,
    /// What the connection carries to the system, oldest first.
    carried: Vec<u32>,
}

struct System {
    script: Script,
    /// The tag, and who sent it in which session.
    stored: Vec<(Tag, u32)>,
    clients: Vec<Client>,
    closed: bool,
}

impl System {
    fn new() -> Self {
        let clients = vec![Client { joined: true, ..Client::default() }; usize::from(CLIENTS)];
        Self { script: Script::new(), stored: Vec::new(), clients, closed: false }
    }

    /// After some steps, each of a client.
    fn after(steps: Vec<(u8, u8)>) -> Self {
        let mut system = Self::new();
        for (slot, what) in steps {
            system.step(slot, what);
        }
        system
    }

    fn client(&mut self, slot: u8) -> &mut Client {
        &mut self.clients[usize::from(slot)]
    }

    fn step(&mut self, slot: u8, what: u8) {
        match what / 5 {
            0..3 => self.send(slot),
            3..6 => self.store(slot),
            6..9 => self.answer(slot),
            9..13 => self.deliver(slot),
            13 => self.reconnect(slot, true),
            14 => self.reconnect(slot, false),
            15 => self.leave(slot),
            16 => self.join(slot),
            _ => self.close(),
        }
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.script.facts.is_closed = true;
            self.script.now(APP_SERVER, Event::CloseAsked);
            self.script.now(APP_SERVER, Event::Closed);
        }
    }

    fn send(&mut self, slot: u8) {
        let client = self.client(slot);
        let index = client.next_index;
        client.next_index += 1;
        client.open.push(index);
        client.carried.push(index);
        self.script.emit(message(slot, index));
    }

    fn store(&mut self, slot: u8) {
        let client = self.client(slot);
        if client.carried.is_empty() {
            return;
        }
        let (index, session) = (client.carried.remove(0), client.session);
        let tag = message(slot, index);
        if self.seq_of(tag).is_some() {
            return;
        }
        if self.closed {
            self.client(slot).open.retain(|open| *open != index);
            self.script.refuse(tag, Code::MatchClosed);
        } else {
            self.stored.push((tag, session));
            self.script.store(tag);
        }
    }

    fn seq_of(&self, tag: Tag) -> Option<u32> {
        let at = self.stored.iter().position(|(stored, _)| *stored == tag)?;
        u32::try_from(at + 1).ok()
    }

    /// Acks the oldest message that is stored.
    fn answer(&mut self, slot: u8) {
        let open = self.client(slot).open.clone();
        let stored = open.into_iter().find_map(|index| Some((index, self.seq_of(message(slot, index))?)));
        let Some((index, seq)) = stored else { return };
        if self.client(slot).carried.contains(&index) {
            return;
        }
        self.client(slot).open.retain(|open| *open != index);
        self.script.ack(message(slot, index), seq);
    }

    fn deliver(&mut self, slot: u8) {
        let client = self.client(slot).clone();
        // What the end overtakes is not given any more.
        if self.closed && client.joined {
            self.client(slot).joined = false;
            return self.script.now(slot, Event::ToldClosed);
        }
        let Some((tag, session)) = self.stored.get(client.cursor).copied().filter(|_| client.joined) else { return };
        self.client(slot).cursor += 1;
        if tag.slot != slot || session != client.session {
            self.client(slot).offset = client.cursor + 1;
            self.script.give(tag, u32::try_from(client.cursor + 1).unwrap(), &[slot]);
        }
    }

    fn reconnect(&mut self, slot: u8, recovered: bool) {
        self.script.now(slot, Event::Disconnected);
        self.script.now(slot, Event::Connected { recovered });
        let client = self.client(slot);
        if recovered && client.joined {
            client.cursor = client.offset;
            let seq = u32::try_from(client.offset).unwrap();
            self.script.now(slot, Event::Resumed { seq, told: 0 });
        }
        let client = self.client(slot);
        if !recovered {
            client.session += 1;
            client.joined = false;
        }
        // Some of what was under way is lost; everything is sent again.
        client.carried = client.open.clone();
        for index in self.client(slot).open.clone() {
            self.script.emit(message(slot, index));
        }
    }

    fn leave(&mut self, slot: u8) {
        self.client(slot).joined = false;
        self.script.now(slot, Event::Left);
    }

    fn join(&mut self, slot: u8) {
        if self.closed {
            return self.script.now(slot, Event::JoinRefused { code: Code::MatchClosed });
        }
        let last = self.stored.len();
        let client = self.client(slot);
        client.cursor = if client.joined { client.cursor.max(last) } else { last };
        client.offset = client.cursor;
        client.joined = true;
        let known = self.script.chat.known();
        self.script.now(slot, Event::Joined { last_seq: u32::try_from(last).unwrap(), known, told: 0 });
        for (seq, (tag, _)) in (1..).zip(self.stored.clone()) {
            self.script.now(slot, Event::Paged { tag: Some(tag), seq });
        }
    }

    fn settle(&mut self) {
        for slot in 0..CLIENTS {
            while !self.client(slot).open.is_empty() {
                self.store(slot);
                self.answer(slot);
            }
        }
        for slot in 0..CLIENTS {
            while self.client(slot).joined && (self.closed || self.client(slot).cursor < self.stored.len()) {
                self.deliver(slot);
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..CLIENTS, 0_u8..86), 0..250)
}

proptest! {
    #[test]
    fn an_honest_history_has_no_violation(steps in steps()) {
        let mut system = System::after(steps);
        system.settle();
        for slot in 0..CLIENTS {
            prop_assert!(!system.client(slot).joined || system.script.chat.has_caught_up(slot));
        }
        let tally = system.script.conclude();
        prop_assert_eq!(tally.violations(), 0, "{:#?}", tally.kept().collect::<Vec<_>>());
    }

    /// One message that was acked or delivered is taken out of the database, or two change places.
    #[test]
    fn a_database_that_holds_something_else_is_found(steps in steps(), at: prop::sample::Index, swaps: bool) {
        let mut system = System::after(steps);
        system.settle();
        let rows = &mut system.script.facts.rows;
        prop_assume!(rows.len() >= 2);
        let at = at.index(rows.len() - 1);
        if swaps {
            (rows[at].tag, rows[at + 1].tag) = (rows[at + 1].tag, rows[at].tag);
        } else {
            rows.remove(at);
        }
        prop_assert!(system.script.conclude().violations() > 0);
    }

    /// One delivery is left out or repeated.
    #[test]
    fn a_delivery_that_fails_is_found(steps in steps(), slot in 0..CLIENTS, repeats: bool) {
        let mut system = System::after(steps);
        prop_assume!(!system.closed);
        system.settle();
        system.join(slot);
        let other = (slot + 1) % CLIENTS;
        system.send(other);
        system.store(other);
        system.answer(other);
        if repeats {
            system.deliver(slot);
            system.client(slot).cursor -= 1;
            system.deliver(slot);
        }
        system.client(slot).cursor = system.stored.len();
        system.settle();
        prop_assert!(system.script.conclude().of(Promise::Delivered).violations > 0);
    }
}
