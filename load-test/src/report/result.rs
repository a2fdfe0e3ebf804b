//! The result of a run as JSON.

use hdrhistogram::Histogram;
use promises::Violation;
use serde_json::{Map, Value, json};

use super::{SPANS, generator_cpu_s, per_second_exact};
use crate::{config::Config, outcome::Outcome, stage::Measured, stats::Span};

/// The result as JSON, on one line: the histograms would make thousands of them.
pub fn json(config: &Config, outcome: &Outcome) -> String {
    let measured = &outcome.measured;
    let rate = |count| per_second_exact(count, outcome.measured_for);
    let latencies: Map<_, _> =
        SPANS.iter().map(|(span, name, _)| ((*name).to_owned(), summary(outcome.latencies.of(*span)))).collect();
    let result = json!({
        "ok": outcome.is_ok(),
        "interrupted": outcome.interrupted,
        "asked": config,
        "measuredS": outcome.measured_for.as_secs_f64(),
        "perSecond": {
            "sent": rate(measured.sent), "acked": rate(measured.acked), "received": rate(measured.received()),
        },
        "stages": outcome.stages.iter().map(stage).collect::<Vec<_>>(),
        "calmedAfterS": outcome.calmed_after.map(|time| time.as_secs_f64()),
        "measured": measured,
        "total": outcome.total,
        "codes": outcome.codes,
        "latencyUs": latencies,
        "check": {
            "violations": outcome.check.violations(),
            "examples": outcome.check.kept().map(example).collect::<Vec<_>>(),
        },
        "generatorCpuS": generator_cpu_s(),
    });
    result.to_string()
}

/// One of the first few violations of each promise.
fn example(violation: &Violation) -> Value {
    json!({
        "promise": violation.promise.name(),
        "matchId": violation.scene,
        "atS": violation.at.as_secs_f64(),
        "what": violation.what,
        "trace": violation.trace,
    })
}

fn stage(measured: &Measured) -> Value {
    json!({
        "name": measured.stage.name,
        "ratePerS": measured.stage.rate,
        "lastedS": measured.lasted.as_secs_f64(),
        "counts": measured.counts,
        "ackUs": summary(measured.latencies.of(Span::Ack)),
    })
}

/// `recorded` is `[value, count]`: what a program needs to add several results up.
fn summary(histogram: &Histogram<u64>) -> Value {
    let at = |quantile| histogram.value_at_quantile(quantile);
    let recorded = histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value()));
    json!({
        "count": histogram.len(),
        "mean": histogram.mean(),
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p999": at(0.999),
        "max": histogram.max(),
        "recorded": recorded.collect::<Vec<_>>(),
    })
}
