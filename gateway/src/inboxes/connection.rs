//! One connection to the cluster: a task that always has a link to some server, with all subscriptions.

use std::{sync::Arc, time::Instant};

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    connecting::{self, Connected, Connecting},
    dialogue::TICK,
    interest::Interest,
    leaving::Leaving,
    link::{Link, News},
    listener::Listener,
    lost::Lost,
    overlap::Side,
    protocol::{self, Info},
    requests::Requests,
    servers::Servers,
    shared::Shared,
    standing::Standing,
};
use crate::metrics;

/// The subscription for answers; those of inboxes have higher numbers.
const ANSWERS: u64 = 0;

/// One connection, and who listens to it.
pub(super) struct Connection<L> {
    shared: Arc<Shared>,
    index: usize,
    interest: Arc<Interest>,
    requests: Arc<Requests>,
    listener: L,
    servers: Servers,
    standing: Arc<Standing>,
    connecting: Option<Connecting>,
    current: Option<Link>,
    leaving: Option<Leaving>,
    /// A server has all subscriptions. Otherwise something may be missed.
    stands: bool,
    /// Links that were lost one after the other, none of which stood for long.
    losses: u32,
}

enum Happened {
    Over,
    Current(Result<(), Lost>),
    Leaving(Result<(), Lost>),
    Connected(Box<Connected>),
    Changed,
    Asked,
    Tick,
}

impl<L: Listener> Connection<L> {
    pub(super) fn new(
        (shared, index): (Arc<Shared>, usize),
        servers: Servers,
        listener: L,
        standing: Arc<Standing>,
    ) -> Self {
        let interest = Arc::clone(&shared.interests[index]);
        let requests = Arc::clone(&shared.requests[index]);
        Self {
            shared,
            index,
            interest,
            requests,
            listener,
            servers,
            standing,
            connecting: None,
            current: None,
            leaving: None,
            stands: false,
            losses: 0,
        }
    }

    /// Keeps it up until `over`.
    pub(super) async fn run(mut self, over: CancellationToken) {
        self.connect();
        let mut ticks = ticks();
        loop {
            let is_connected = self.current.is_some();
            let happened = tokio::select! {
                () = over.cancelled() => Happened::Over,
                transferred = transfer(self.current.as_mut()) => Happened::Current(transferred),
                transferred = transfer(self.leaving.as_mut().and_then(|leaving| leaving.link.as_mut())) => {
                    Happened::Leaving(transferred)
                }
                connected = connecting::connected(self.connecting.as_mut()) => Happened::Connected(connected),
                () = self.interest.changed(), if is_connected => Happened::Changed,
                () = self.requests.changed(), if is_connected => Happened::Asked,
                _ = ticks.tick() => Happened::Tick,
            };
            match happened {
                Happened::Over => return,
                Happened::Current(transferred) => self.current_transferred(transferred),
                Happened::Leaving(transferred) => self.leaving_transferred(transferred),
                Happened::Connected(connected) => self.follow(*connected),
                Happened::Changed => self.change(),
                Happened::Asked => self.asked(),
                Happened::Tick => self.tick(Instant::now()),
            }
        }
    }

    fn connect(&mut self) {
        if self.connecting.is_none() {
            self.connecting = Some(Box::pin(connecting::connect(self.servers.clone(), self.losses)));
        }
    }

    /// A server is ready: it gets all subscriptions. One that is left meanwhile is heard until that is done.
    fn follow(&mut self, Connected { mut link, info, servers }: Connected) {
        self.connecting = None;
        self.servers = servers;
        let below = self.interest.follow();
        let mut commands = Vec::new();
        protocol::subscribe(&mut commands, &self.requests.follow(), ANSWERS);
        self.listener.each(&mut |user, sid| {
            if self.shared.connection_of(user.as_str()) == self.index {
                protocol::subscribe(&mut commands, self.shared.subjects.inbox(user).as_str(), sid);
            }
        });
        self.listener.each_watched(&mut |user, sid| {
            if self.shared.connection_of(user.as_str()) == self.index {
                protocol::subscribe(&mut commands, self.shared.subjects.presence(user).as_str(), sid);
            }
        });
        link.dialogue.command(&commands, below);
        let left = self.current.replace(link);
        self.leaving = left.map(Leaving::new);
        self.learn(&info);
    }

    /// Users came or went.
    fn change(&mut self) {
        let Some(link) = &mut self.current else { return };
        let (commands, below) = self.interest.take();
        link.dialogue.command(&commands, below);
    }

    /// Requests are to be written, or one had no answer.
    fn asked(&mut self) {
        let Some(link) = &mut self.current else { return };
        if self.requests.take_suspicion() {
            link.dialogue.suspect();
        }
        self.requests.take(&mut link.dialogue.outgoing);
    }

    fn current_transferred(&mut self, transferred: Result<(), Lost>) {
        let Some(link) = &mut self.current else { return };
        let (listener, requests) = (&mut self.listener, &self.requests);
        let mut overlap = self.leaving.as_mut().map(|leaving| &mut leaving.overlap);
        let received = transferred.and_then(|()| {
            link.receive(|message| {
                if requests.answer(message) {
                    return;
                }
                if !overlap.as_mut().is_some_and(|overlap| overlap.is_repeat(Side::Current, message)) {
                    listener.hear(message);
                }
            })
        });
        match received {
            Ok(News { proven, info }) => {
                if let Some(below) = proven {
                    self.proven(below);
                }
                if let Some(info) = info {
                    self.learn(&info);
                }
            }
            Err(lost) => self.lost(&lost),
        }
    }

    fn leaving_transferred(&mut self, transferred: Result<(), Lost>) {
        let Some(leaving) = &mut self.leaving else { return };
        let Leaving { link: Some(link), overlap, .. } = leaving else { return };
        let (listener, requests) = (&mut self.listener, &self.requests);
        let received = transferred.and_then(|()| {
            link.receive(|message| {
                if !requests.answer(message) && !overlap.is_repeat(Side::Leaving, message) {
                    listener.hear(message);
                }
            })
        });
        if received.is_err() {
            leaving.leave(Instant::now());
            // It may have gone before the next one had all subscriptions.
            let is_proven = self.current.as_ref().is_some_and(|link| link.dialogue.is_proven());
            self.stand(is_proven);
        }
    }

    /// The server has all subscriptions below a number.
    fn proven(&mut self, below: u64) {
        self.interest.prove(below);
        if let Some(leaving) = &mut self.leaving {
            leaving.succeeded(Instant::now());
        }
        self.stand(true);
    }

    fn stand(&mut self, stands: bool) {
        if std::mem::replace(&mut self.stands, stands) == stands {
            return;
        }
        self.standing.change(stands);
        if stands {
            self.shared.disturbances.send_modify(|count| *count += 1);
        }
    }

    fn learn(&mut self, info: &Info) {
        self.servers.learn(&info.connect_urls);
        let is_leaving_another = self.leaving.as_ref().is_some_and(|leaving| leaving.link.is_some());
        if info.ldm && !is_leaving_another {
            info!("NATS asks to leave one of its servers; connecting to another");
            self.connect();
        }
    }

    fn lost(&mut self, lost: &Lost) {
        warn!(error = %lost, "a connection of the inboxes is lost");
        metrics::inboxes_lost(lost.reason());
        self.losses = self.losses.saturating_add(1);
        self.current = None;
        self.leaving = None;
        self.stand(false);
        self.interest.forsake();
        self.requests.forsake();
        self.connect();
    }

    fn tick(&mut self, now: Instant) {
        self.listener.tick(now);
        if self.stands {
            self.losses = 0;
        }
        if let Some(Err(lost)) = self.current.as_mut().map(|link| link.dialogue.tick()) {
            self.lost(&lost);
        }
        if self.leaving.as_mut().is_some_and(|leaving| leaving.tick(now)) {
            self.leaving = None;
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn transfer(link: Option<&mut Link>) -> Result<(), Lost> {
    match link {
        Some(link) => link.transfer().await,
        None => std::future::pending().await,
    }
}
