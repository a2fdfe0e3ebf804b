//! The result of a run as JSON.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use promises::Tally;
use serde::Serialize;

use super::{SPANS, cpu_seconds, per_second_exact};
use crate::{
    config::{Asked, Config},
    outcome::Outcome,
    stage::Measured,
    stats::{Counts, Span},
};

/// The JSON result.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Result<'a> {
    ok: bool,
    interrupted: bool,
    asked: Asked<'a>,
    measured_s: f64,
    per_second: Rates,
    stages: Vec<StageResult>,
    calmed_after_s: Option<f64>,
    measured: Counts,
    total: Counts,
    codes: &'a BTreeMap<String, u64>,
    /// Microseconds.
    latency_us: BTreeMap<&'a str, Summary>,
    check: Check,
    generator_cpu_s: Option<f64>,
}

#[derive(Serialize)]
struct Check {
    violations: u64,
    /// The first few of each promise.
    examples: Vec<Example>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Example {
    promise: &'static str,
    match_id: String,
    at_s: f64,
    what: String,
    trace: Vec<String>,
}

impl Check {
    fn of(tally: &Tally) -> Self {
        let examples = tally.kept().map(|violation| Example {
            promise: violation.promise.name(),
            match_id: violation.scene.clone(),
            at_s: violation.at.as_secs_f64(),
            what: violation.what.clone(),
            trace: violation.trace.clone(),
        });
        Self { violations: tally.violations(), examples: examples.collect() }
    }
}

#[derive(Serialize)]
struct Rates {
    sent: f64,
    acked: f64,
    received: f64,
}

#[derive(Serialize)]
struct Summary {
    count: u64,
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
    /// `[value, count]`: what a program needs to add several results up.
    recorded: Vec<(u64, u64)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StageResult {
    name: &'static str,
    rate_per_s: f64,
    lasted_s: f64,
    counts: Counts,
    ack_us: Summary,
}

impl StageResult {
    fn of(measured: &Measured) -> Self {
        Self {
            name: measured.stage.name,
            rate_per_s: measured.stage.rate,
            lasted_s: measured.lasted.as_secs_f64(),
            counts: measured.counts,
            ack_us: Summary::of(measured.latencies.of(Span::Ack)),
        }
    }
}

impl Summary {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            mean: histogram.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
            recorded: histogram
                .iter_recorded()
                .map(|value| (value.value_iterated_to(), value.count_at_value()))
                .collect(),
        }
    }
}

/// The result as JSON, on one line: the histograms would make thousands of them.
///
/// # Errors
/// If it cannot be encoded.
pub fn json(config: &Config, outcome: &Outcome) -> serde_json::Result<String> {
    let Counts { sent, acked, .. } = outcome.measured;
    let rate = |count| per_second_exact(count, outcome.measured_for);
    serde_json::to_string(&Result {
        ok: outcome.is_ok(),
        interrupted: outcome.interrupted,
        asked: config.asked(),
        measured_s: outcome.measured_for.as_secs_f64(),
        per_second: Rates { sent: rate(sent), acked: rate(acked), received: rate(outcome.measured.received()) },
        stages: outcome.stages.iter().map(StageResult::of).collect(),
        calmed_after_s: outcome.calmed_after.map(|time| time.as_secs_f64()),
        measured: outcome.measured,
        total: outcome.total,
        codes: &outcome.codes,
        latency_us: SPANS.map(|(span, name, _)| (name, Summary::of(outcome.latencies.of(span)))).into(),
        check: Check::of(&outcome.check),
        generator_cpu_s: cpu_seconds(),
    })
}
