//! One match as the crowd shares it, and the series of matches in which two users chat one after the other.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU32, Ordering},
};

use load_test::stats::lock;
use promises::{Chat, Entry, Event, Rules};

use super::{roster::Couple, world::World};

/// The message that reaches the milestone.
pub(crate) const MILESTONE: u32 = 100;
/// The rules that the checker holds every match against.
const RULES: Rules = Rules { milestones: &[MILESTONE], told_once: false, all_answered: true, remembered: 1_024 };

/// A match.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: String,
    /// The user of each client, by slot.
    pub(crate) users: Vec<String>,
    /// Both members.
    pub(crate) members: [String; 2],
    chat: Mutex<Chat>,
}

impl Room {
    fn new(world: &World, couple: &Couple, number: usize, generation: u32) -> Self {
        let id = format!("{}-{number}-{generation}", world.name);
        let sides: Vec<u8> = couple.clients.iter().map(|(_, side)| *side).collect();
        let members = couple.users.map(|user| world.user_id(user));
        let users = sides.iter().map(|side| members[usize::from(*side)].clone()).collect();
        Self { chat: Mutex::new(Chat::new(id.clone(), sides, RULES)), users, members, id }
    }

    /// Something happened to a client, or the app server did something.
    pub(crate) fn note(&self, world: &World, slot: u8, event: Event) {
        let mut chat = self.chat();
        let (violations, acked) = (chat.tally().violations(), chat.acked());
        chat.observe(Entry { at_ms: world.now_ms(), slot, event });
        let mut progress = world.progress();
        progress.violations += chat.tally().violations() - violations;
        progress.acked += chat.acked() - acked;
    }

    pub(crate) fn chat(&self) -> MutexGuard<'_, Chat> {
        lock(&self.chat)
    }

    /// What was found, to be concluded: nobody may note anything after this.
    pub(crate) fn take_chat(&self) -> Chat {
        std::mem::replace(&mut self.chat(), Chat::new(self.id.clone(), Vec::new(), RULES))
    }
}

/// Two users, and the matches in which they chat one after the other.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) couple: Couple,
    number: usize,
    generation: AtomicU32,
    /// The last one is the current one.
    rooms: Mutex<Vec<Arc<Room>>>,
}

impl Pairing {
    pub(crate) fn new(world: &World, couple: Couple, number: usize) -> Self {
        let first = Arc::new(Room::new(world, &couple, number, 0));
        Self { couple, number, generation: AtomicU32::new(0), rooms: Mutex::new(vec![first]) }
    }

    /// How many matches came before the current one.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Its place among all pairings.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn current(&self) -> Option<Arc<Room>> {
        self.rooms().last().cloned()
    }

    /// A match for them to go on in; it has to be created before it is [`opened`](Self::open).
    pub(crate) fn next(&self, world: &World) -> Arc<Room> {
        Arc::new(Room::new(world, &self.couple, self.number, self.generation() + 1))
    }

    /// Lets everybody go on in a new match.
    pub(crate) fn open(&self, room: Arc<Room>) {
        let mut rooms = self.rooms();
        rooms.push(room);
        // By now everybody has left the one before the last.
        if let Some(over) = rooms.len().checked_sub(3) {
            rooms[over].chat().shrink();
        }
        drop(rooms);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether this is one of their matches.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.rooms().iter().any(|room| room.id == id)
    }

    pub(crate) fn all_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms().clone()
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Arc<Room>>> {
        lock(&self.rooms)
    }
}
