//! Every instrument of the gateway.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};
use proto::{Code, InboxKind};
use service_kit::{clock, telemetry};

struct Instruments {
    connections: UpDownCounter<i64>,
    disconnects: Counter<u64>,
    rejections: Counter<u64>,
    send_duration: Histogram<f64>,
    deliveries: Counter<u64>,
    delivery_delay: Histogram<f64>,
    healed: Counter<u64>,
    inboxes_lost: Counter<u64>,
    inboxes_undecodable: Counter<u64>,
    inboxes_misplaced: Counter<u64>,
    forwarded: Counter<u64>,
    watched_users: UpDownCounter<i64>,
    presence_asked: Counter<u64>,
    presence_announced: Counter<u64>,
    presence_news: Counter<u64>,
    requests: Histogram<f64>,
}

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| Instruments::of(&global::meter("gateway")));

impl Instruments {
    #[allow(clippy::too_many_lines, reason = "one line for each instrument")]
    fn of(meter: &Meter) -> Self {
        let seconds = |name, description| telemetry::seconds(meter, name, description);
        Self {
            connections: meter
                .i64_up_down_counter("gateway.connections")
                .with_description("Connected sockets.")
                .build(),
            disconnects: meter
                .u64_counter("gateway.disconnects")
                .with_description("Sockets that have gone, by reason.")
                .build(),
            rejections: meter
                .u64_counter("gateway.rejections")
                .with_description("Commands and connects that were refused, by code.")
                .build(),
            send_duration: seconds("gateway.send.duration", "From a client's send_message to its answer."),
            deliveries: meter
                .u64_counter("gateway.deliveries")
                .with_description("Messages given to joined sockets.")
                .build(),
            delivery_delay: seconds(
                "gateway.delivery.delay",
                "From a message's COMMIT to its delivery, by wall clocks.",
            ),
            healed: meter
                .u64_counter("gateway.gaps.healed")
                .with_description("Messages that were missed and fetched from chat-service.")
                .build(),
            inboxes_lost: meter
                .u64_counter("gateway.inboxes.lost")
                .with_description("Connections of the inboxes to NATS that ended, by reason.")
                .build(),
            inboxes_undecodable: meter
                .u64_counter("gateway.inboxes.undecodable")
                .with_description("Events in users' inboxes that could not be decoded and were dropped.")
                .build(),
            inboxes_misplaced: meter
                .u64_counter("gateway.inboxes.misplaced")
                .with_description(
                    "Events in users' inboxes that came on another kind's subject and were dropped, by their own kind.",
                )
                .build(),
            forwarded: meter
                .u64_counter("gateway.forwarded")
                .with_description("Requests of other gateways' sessions, by outcome.")
                .build(),
            watched_users: meter
                .i64_up_down_counter("gateway.presence.watched")
                .with_description("Users whose presence sockets here watch.")
                .build(),
            presence_asked: meter
                .u64_counter("gateway.presence.asked")
                .with_description("Questions whether a user is online, by outcome.")
                .build(),
            presence_announced: meter
                .u64_counter("gateway.presence.announced")
                .with_description("Users who came, or have gone, each published once, by which.")
                .build(),
            presence_news: meter
                .u64_counter("gateway.presence.news")
                .with_description("Watched users who were found to be online, or not any more, by which.")
                .build(),
            requests: seconds("gateway.http.duration", "REST requests, by route and status."),
        }
    }
}

/// A socket is connected.
pub fn connected() {
    INSTRUMENTS.connections.add(1, &[]);
}

/// A socket has gone.
pub fn disconnected(reason: &'static str) {
    INSTRUMENTS.connections.add(-1, &[]);
    INSTRUMENTS.disconnects.add(1, &[KeyValue::new("reason", reason)]);
}

/// A command or a connect was refused.
pub fn rejected(code: Code) {
    INSTRUMENTS.rejections.add(1, &[KeyValue::new("code", code.as_str())]);
}

/// A send was answered.
pub fn send_answered(took: Duration, outcome: &'static str) {
    INSTRUMENTS.send_duration.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
}

/// A message was given to a joined socket.
pub fn delivered(created_at_ms: i64) {
    INSTRUMENTS.deliveries.add(1, &[]);
    let delay_ms = u32::try_from(clock::unix_ms().saturating_sub(created_at_ms).max(0)).unwrap_or(u32::MAX);
    INSTRUMENTS.delivery_delay.record(f64::from(delay_ms) / 1_000.0, &[]);
}

/// Missed messages were fetched.
pub fn gap_healed(messages: usize) {
    INSTRUMENTS.healed.add(u64::try_from(messages).unwrap_or(u64::MAX), &[]);
}

/// A connection of the inboxes to NATS has ended.
pub fn inboxes_lost(reason: &'static str) {
    INSTRUMENTS.inboxes_lost.add(1, &[KeyValue::new("reason", reason)]);
}

/// An event in a user's inbox could not be decoded.
pub fn inbox_event_undecodable() {
    INSTRUMENTS.inboxes_undecodable.add(1, &[]);
}

/// An event in a user's inbox came on the subject of another kind.
pub fn inbox_event_misplaced(own: InboxKind) {
    INSTRUMENTS.inboxes_misplaced.add(1, &[KeyValue::new("kind", own.as_str())]);
}

/// A request of another gateway's session was passed on.
pub fn forwarded(outcome: &'static str) {
    INSTRUMENTS.forwarded.add(1, &[KeyValue::new("outcome", outcome)]);
}

/// So many more users are watched, or fewer.
pub fn watched_users(change: i64) {
    INSTRUMENTS.watched_users.add(change, &[]);
}

/// It was asked whether a user is online.
pub fn presence_asked(outcome: &'static str) {
    INSTRUMENTS.presence_asked.add(1, &[KeyValue::new("outcome", outcome)]);
}

/// It was announced that a user came, or has gone.
pub fn presence_announced(what: &'static str) {
    INSTRUMENTS.presence_announced.add(1, &[KeyValue::new("what", what)]);
}

/// A watched user was found to be online, or not any more.
pub fn presence_news(is_online: bool) {
    INSTRUMENTS.presence_news.add(1, &[KeyValue::new("online", is_online)]);
}

/// A REST request was answered.
pub fn request_answered(took: Duration, route: String, status: u16) {
    let labels = [KeyValue::new("route", route), KeyValue::new("status", i64::from(status))];
    INSTRUMENTS.requests.record(took.as_secs_f64(), &labels);
}
