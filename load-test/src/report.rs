//! What a run tells people and programs: a line per second, a summary, a JSON result.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use tokio::time::Instant;

use crate::{
    bench::process::{Cpu, Process},
    config::Config,
    outcome::Outcome,
    stage::{Measured, Second},
    stats::{Counts, Span, Stats, number},
};

mod result;

pub use result::json;

/// The spans in the order in which they are shown, with their names and what they mean.
const SPANS: [(Span, &str, &str); 4] = [
    (Span::Ack, "ack", "intended send → ack"),
    (Span::Receive, "receive", "intended send → other member"),
    (Span::Service, "service", "last emission → its ack"),
    (Span::Schedule, "schedule", "intended send → first emission"),
];

/// Shows a line every second, on standard error.
pub struct Progress {
    origin: Instant,
    shown_at: Instant,
    shown: Counts,
    /// As many as the run lasts, which `--duration-s` and the like bound.
    seconds: Vec<Second>,
}

impl Progress {
    /// Nothing shown yet.
    pub fn new(origin: Instant) -> Self {
        Self { origin, shown_at: origin, shown: Counts::default(), seconds: Vec::new() }
    }

    /// Every second so far.
    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// Shows the line of the last second, if one is over.
    pub fn tick(&mut self, stats: &Stats, what: &str) {
        let elapsed = self.shown_at.elapsed();
        if elapsed < Duration::from_secs(1) {
            return;
        }
        let (counts, interval) = (stats.counters.read(), stats.take_interval());
        let now = counts.since(&self.shown);
        let ack_p99_us = interval.of(Span::Ack).value_at_quantile(0.99);
        self.seconds.push(Second { end: self.origin.elapsed(), ack_p99_us });
        let latency = |span| {
            let [p50, p99] = [0.5, 0.99].map(|q| milliseconds(interval.of(span).value_at_quantile(q)));
            format!("{p50}/{p99}")
        };
        let joined = counts.joined_users;
        let mut line = format!(
            "{:>5.0} s {what:<10} joined {joined}  sent {}/s acked {}/s received {}/s  \
             p50/p99 ms: ack {} receive {}  open {}",
            self.origin.elapsed().as_secs_f64(),
            per_second(now.sent, elapsed),
            per_second(now.acked, elapsed),
            per_second(now.received(), elapsed),
            latency(Span::Ack),
            latency(Span::Receive),
            counts.unsettled(),
        );
        for (name, count) in troubles(&now) {
            let _ = write!(line, "  {name} {count}");
        }
        eprintln!("{line}");
        (self.shown, self.shown_at) = (counts, Instant::now());
    }
}

/// What went wrong, how often.
fn troubles(counts: &Counts) -> impl Iterator<Item = (&'static str, u64)> {
    let named = [
        ("resent", counts.resent),
        ("rate limited", counts.rate_limited),
        ("retryable errors", counts.retryable_errors),
        ("refused", counts.refused),
        ("acks timed out", counts.ack_timeouts),
        ("given up", counts.given_up),
        ("due but never sent", counts.unsent),
        ("disconnects", counts.disconnects),
        ("failed connects", counts.connect_failures),
        ("users refused", counts.refused_users),
    ];
    named.into_iter().filter(|(_, count)| *count > 0)
}

/// The result for people.
pub fn summary(config: &Config, outcome: &Outcome) -> String {
    let (total, measured) = (outcome.total, outcome.measured);
    let rate = |count| per_second(count, outcome.measured_for);
    let mut text = format!(
        "{} users on {} gateways, {} messages/s offered, measured for {:.1} s{}\n\
         per second   sent {}  acked {}  received {}\n\
         whole run    sent {}  acked {} ({} duplicates)  received {} ({} after a reconnect)\n",
        2 * config.pairs,
        config.urls.len(),
        config.rate,
        outcome.measured_for.as_secs_f64(),
        if outcome.interrupted { ", interrupted" } else { "" },
        rate(measured.sent),
        rate(measured.acked),
        rate(measured.received()),
        total.sent,
        total.acked,
        total.duplicates,
        total.received(),
        total.received_caught_up,
    );
    text += &stages(outcome);
    text += &troubles_in_all(&total, &outcome.codes);
    text += "latency, ms         p50      p90      p99    p99.9      max\n";
    for (span, name, meaning) in SPANS {
        let histogram = outcome.latencies.of(span);
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|q| milliseconds(histogram.value_at_quantile(q)));
        let max = milliseconds(histogram.max());
        let _ = writeln!(text, "  {name:<12} {p50:>8} {p90:>8} {p99:>8} {p999:>8} {max:>8}   {meaning}");
    }
    if let Some(seconds) = generator_cpu_s() {
        let _ = writeln!(text, "the generator itself used {seconds:.1} s of CPU");
    }
    text + &verdict(outcome)
}

fn troubles_in_all(total: &Counts, codes: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    let open = Some(("open at the end", total.unsettled())).filter(|(_, count)| *count > 0);
    for (name, count) in troubles(total).chain(open) {
        let _ = writeln!(text, "  {name}: {count}");
    }
    if !codes.is_empty() {
        let _ = writeln!(text, "  errors: {}", by_count(codes));
    }
    text
}

/// A line for each stage, if there are several.
fn stages(outcome: &Outcome) -> String {
    let mut text = String::new();
    let [_, .., last] = &outcome.stages[..] else { return text };
    text += "stage      offered/s    acked/s  refused/s  ack p50, ms      p99\n";
    for Measured { stage, lasted, counts, latencies, .. } in &outcome.stages {
        let ack = latencies.of(Span::Ack);
        let refused = counts.rate_limited + counts.retryable_errors + counts.refused;
        let _ = writeln!(
            text,
            "  {:<8} {:>10.0} {:>10} {:>10} {:>12} {:>8}",
            stage.name,
            stage.rate,
            per_second(counts.acked, *lasted),
            per_second(refused, *lasted),
            milliseconds(ack.value_at_quantile(0.5)),
            milliseconds(ack.value_at_quantile(0.99)),
        );
    }
    let calmed = outcome.calmed_after.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
    let _ = writeln!(text, "  p99 at most twice that of the first stage again: {calmed} into «{}»", last.stage.name);
    text
}

fn verdict(outcome: &Outcome) -> String {
    let check = &outcome.check;
    if check.violations() > 0 {
        let examples: Vec<_> = check.kept().map(|violation| format!("  {violation}\n")).collect();
        format!("check: FAILED, {} violations, the first of them:\n{}", check.violations(), examples.concat())
    } else if outcome.total.acked == 0 {
        "check: FAILED, no message was acked\n".to_owned()
    } else if outcome.total.refused_users > 0 {
        "check: FAILED, users were refused\n".to_owned()
    } else {
        "check: ok, every acked message was delivered once and in order\n".to_owned()
    }
}

/// `RATE_LIMITED 3, UNAVAILABLE 1`: the most frequent first.
pub fn by_count(codes: &BTreeMap<String, u64>) -> String {
    if codes.is_empty() {
        return "no error was told".to_owned();
    }
    let mut codes: Vec<_> = codes.iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    codes.iter().map(|(code, count)| format!("{code} {count}")).collect::<Vec<_>>().join(", ")
}

/// User and system time of this process so far.
fn generator_cpu_s() -> Option<f64> {
    Process(std::process::id()).cpu().ok().map(Cpu::total_s)
}

fn milliseconds(us: u64) -> String {
    format!("{:.2}", number(us) / 1_000.0)
}

fn per_second(count: u64, time: Duration) -> String {
    format!("{:.0}", per_second_exact(count, time))
}

fn per_second_exact(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { number(count) / time.as_secs_f64() }
}
