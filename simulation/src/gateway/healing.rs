//! Fetching what a socket missed, and comparing heads; after `gateway/src/chat/healing.rs` and `sweeper.rs`.

use std::{rc::Rc, sync::Arc, time::Duration};

use gateway::chat::{Announced, JoinedChat, Posted};
use gateway_core::{room::Due, views::MessageFields};
use proto::{MatchId, chat::MatchHead};

use super::{Gateway, delivery, socket::Socket};
use crate::{mistake::Mistake, store::Snapshot};

const HOLD: Duration = Duration::from_millis(200);
/// Messages fetched at once; few, so that the runs have several pages.
const PAGE: usize = 3;
const MAX_TRIES: u32 = 5;
const COMPARED_EVERY: Duration = Duration::from_secs(20);
/// After a disturbance the subscriptions need a moment to stand again.
const DISTURBANCE_PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=400;

/// Fetches what the socket misses of a chat, unless that is under way.
pub(super) fn heal_if_behind(socket: &Rc<Socket>, chat: &mut JoinedChat) {
    if chat.room.is_behind() && !chat.healing && socket.world().mistake != Some(Mistake::NoHealing) {
        chat.healing = true;
        let gateway = socket.gateway();
        gateway.world.sim.spawn(gateway.process, heal(Rc::clone(socket), chat.id.clone()));
    }
}

async fn heal(socket: Rc<Socket>, id: MatchId) {
    let mut failures = 0;
    let sim = socket.world().sim.clone();
    let is_pulling = socket.session.borrow_mut().chat(&id).is_some_and(|chat| chat.room.is_pulling());
    if !is_pulling {
        sim.sleep(HOLD).await;
    }
    while let Some(cursor) = cursor_if_behind(&socket, &id) {
        let page = socket.gateway().ask(|world| Rc::clone(&world.store).get_match(id.clone(), Some(cursor), PAGE));
        if let Ok(Some(page)) = page.await
            && fill(&socket, &id, page)
        {
            continue;
        }
        failures += 1;
        if failures > MAX_TRIES {
            return stop(&socket, &id);
        }
        sim.sleep(HOLD * 2_u32.pow(failures)).await;
    }
}

fn stop(socket: &Socket, id: &MatchId) {
    if let Some(chat) = socket.session.borrow_mut().chat(id) {
        chat.healing = false;
        chat.room.stop_pulling();
    }
}

fn cursor_if_behind(socket: &Socket, id: &MatchId) -> Option<i64> {
    let mut session = socket.session.borrow_mut();
    let chat = session.chat(id)?;
    chat.healing = chat.room.is_behind() && socket.pipe.is_open();
    chat.healing.then(|| chat.room.cursor())
}

/// Gives a page to a socket; whether that moved its cursor, or ended the healing.
fn fill(socket: &Rc<Socket>, id: &MatchId, page: Snapshot) -> bool {
    let mut session = socket.session.borrow_mut();
    let Some(chat) = session.chat(id) else { return true };
    let before = chat.room.cursor();
    let last = page.messages.last().map_or(page.last_seq, |last| last.seq);
    let through = if page.has_more { last } else { page.last_seq };
    let posts = page.messages.into_iter().filter_map(|message| Posted::new(message, MessageFields::Spread));
    let mut messages: Vec<_> = posts.flat_map(|posted| chat.room.fill(posted)).collect();
    messages.extend(chat.room.pass(through));
    let has_moved = chat.room.cursor() > before || !chat.room.is_behind();
    delivery::give(socket, &mut session, id, Due { messages, milestones: Vec::new() });
    has_moved
}

async fn compare(socket: &Rc<Socket>, head: &MatchHead, chat: &MatchId) {
    if head.closed {
        return delivery::close(socket, chat);
    }
    let told = {
        let mut session = socket.session.borrow_mut();
        let Some(joined) = session.open_chat(chat) else { return };
        joined.room.learn_head(head.last_seq);
        heal_if_behind(socket, joined);
        joined.room.milestones()
    };
    if i64::from(head.milestones) > told {
        tell_milestones(socket, chat).await;
    }
}

/// Compares the heads of all chats that the socket has open.
pub(super) async fn compare_all(socket: &Rc<Socket>) {
    let open: Vec<String> = socket.session.borrow().open_chats().map(|chat| chat.id.to_string()).collect();
    if open.is_empty() || socket.world().mistake == Some(Mistake::NoComparison) {
        return;
    }
    let asked = socket.gateway().ask(|world| Rc::clone(&world.store).heads(open.clone(), false)).await;
    let Ok(heads) = asked else { return };
    for head in heads {
        let Ok(chat) = MatchId::new(head.match_id.as_str()) else { continue };
        compare(socket, &head, &chat).await;
    }
}

/// Tells a socket of the milestones of a chat that it was not told of.
pub(super) async fn tell_milestones(socket: &Rc<Socket>, chat: &MatchId) {
    let asked = socket.gateway().ask(|world| Rc::clone(&world.store).get_match(chat.clone(), None, 0)).await;
    let Ok(Some(found)) = asked else { return };
    for milestone in found.milestones {
        delivery::announce(socket, &Arc::new(Announced { chat: chat.clone(), milestone }), false);
    }
}

/// Compares heads until the gateway dies.
pub(super) async fn sweep(gateway: Rc<Gateway>) {
    let disturbances = gateway.world.net.disturbances(gateway.process);
    let sim = gateway.world.sim.clone();
    let mut wait = Duration::from_millis(sim.chance(|rng| rng.u64(0..20_000)));
    loop {
        if sim.timeout(wait, disturbances.pop()).await.is_some() {
            while disturbances.try_pop().is_some() {}
            sim.sleep(Duration::from_millis(sim.chance(|rng| rng.u64(DISTURBANCE_PAUSE_MS)))).await;
        }
        wait = COMPARED_EVERY;
        for socket in gateway.sockets() {
            compare_all(&socket).await;
        }
    }
}
