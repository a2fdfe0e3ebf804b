//! One connection to the cluster: a task that always has a link to some server, with all subscriptions.

use std::{pin::Pin, sync::Arc, time::Instant};

use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Inboxes, Listener, Lost, Standing,
    dialogue::TICK,
    interest::Interest,
    leaving::Leaving,
    link::{Link, News},
    overlap::Side,
    protocol::{self, Info},
    requests::Requests,
    servers::{self, Servers},
    stream,
};
use crate::{NAME, metrics};

/// The subscription for answers; those of inboxes have higher numbers.
const ANSWERS: u64 = 0;

type Connecting = Pin<Box<dyn Future<Output = Box<Connected>> + Send>>;

/// One connection, and who listens to it.
pub(super) struct Connection<L> {
    inboxes: Inboxes,
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

/// A server is ready.
struct Connected {
    link: Link,
    info: Info,
    /// As they were when it was its turn.
    servers: Servers,
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
        (inboxes, index): (Inboxes, usize),
        servers: Servers,
        listener: L,
        standing: Arc<Standing>,
    ) -> Self {
        let interest = Arc::clone(&inboxes.0.interests[index]);
        let requests = Arc::clone(&inboxes.0.requests[index]);
        Self {
            inboxes,
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
                connected = connected(self.connecting.as_mut()) => Happened::Connected(connected),
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
            self.connecting = Some(Box::pin(connect(self.servers.clone(), self.losses)));
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
            if self.inboxes.connection_of(user.as_str()) == self.index {
                protocol::subscribe(&mut commands, self.inboxes.0.subjects.inbox(user).as_str(), sid);
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
            self.inboxes.0.disturbances.send_modify(|count| *count += 1);
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

async fn connected(connecting: Option<&mut Connecting>) -> Box<Connected> {
    match connecting {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}

/// Tries one server after the other until one is ready, the more rarely the more was in vain: a server may also take us
/// in and then send us away.
async fn connect(mut servers: Servers, losses: u32) -> Box<Connected> {
    let mut attempt = losses;
    loop {
        sleep(servers::delay(attempt)).await;
        if let Some(server) = servers.turn() {
            match stream::open(&server, NAME).await {
                Ok(opened) => {
                    info!(%server, "the inboxes are connected");
                    let info = opened.info.clone();
                    return Box::new(Connected { link: Link::new(opened), info, servers });
                }
                // Each attempt may fail for long: the first says it.
                Err(error) if attempt == losses => warn!(%server, %error, "the inboxes cannot be connected"),
                Err(error) => debug!(%server, %error, "the inboxes cannot be connected"),
            }
        }
        attempt = attempt.saturating_add(1);
    }
}
