//! What a user hears, given to each of the user's sockets; after `gateway/src/chat/inbox.rs`.

use std::rc::Rc;
use std::sync::Arc;

use gateway::chat::{Announced, Posted};
use gateway_core::views::MessageFields;
use proto::MatchId;

use super::{Gateway, User, delivery};
use crate::{
    channel::Queue,
    mistake::Mistake,
    network::{Inbox, Packet, Subject},
};

/// Listens until the gateway dies; a user who is gone has no sockets.
pub(super) async fn listen(gateway: Rc<Gateway>, user: Rc<User>) {
    let mailbox = Queue::default();
    gateway.world.net.subscribe(gateway.process, Subject::User(user.index), &mailbox).await;
    user.is_subscribed.set(true);
    loop {
        let Packet::Inbox(event) = mailbox.pop().await else { continue };
        user.heard.set(user.heard.get() + 1);
        let sockets = user.sockets.borrow().clone();
        match &*event {
            Inbox::Posted(messages) => {
                let posts: Vec<_> = messages
                    .iter()
                    .cloned()
                    .filter_map(|message| Posted::new(message, MessageFields::Spread))
                    .collect();
                for socket in &sockets {
                    delivery::post(socket, &posts);
                }
            }
            Inbox::Milestone(chat, milestone) => {
                let chat: MatchId = chat.clone();
                let mistake = gateway.world.mistake;
                let is_news = user.told.borrow_mut().is_news(&chat, milestone.ord) || mistake == Some(Mistake::NoTold);
                let announced = Arc::new(Announced { chat, milestone: milestone.clone() });
                for socket in &sockets {
                    let was_here =
                        socket.was_connected(milestone.reached_at_ms) || mistake == Some(Mistake::ToldElsewhere);
                    delivery::announce(socket, &announced, is_news && was_here);
                }
            }
            Inbox::Closed(chat) => sockets.iter().for_each(|socket| delivery::close(socket, chat)),
            Inbox::Replaced { pid, connected_at_ms, connection } => {
                for socket in sockets.iter().filter(|socket| socket.pid.as_str() == pid) {
                    if socket.is_replaced_by(*connected_at_ms, *connection) {
                        socket.pipe.close();
                    }
                }
            }
        }
    }
}
