//! Instruments that every service has some of.

use opentelemetry::metrics::{Histogram, Meter};

/// From well under a COMMIT to the longest repetition of a request. The library's own bounds reach from 5 to 10,000
/// *seconds*.
const SECONDS: [f64; 15] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// A histogram of durations in seconds.
#[allow(clippy::disallowed_methods)]
pub fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name).with_unit("s").with_boundaries(SECONDS.to_vec());
    histogram.with_description(description).build()
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn durations_of_milliseconds_and_of_half_a_minute_have_buckets_of_their_own() {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let histogram = seconds(&provider.meter("test"), "test.duration", "Of a test.");
        histogram.record(0.003, &[]);
        histogram.record(25.0, &[]);
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let up_to = |bound: &str| {
            let line =
                text.lines().find(|line| line.starts_with("test_duration_seconds_bucket") && line.contains(bound));
            line.and_then(|line| line.rsplit(' ').next()).map(ToOwned::to_owned)
        };
        let counts = [r#"le="0.002""#, r#"le="0.005""#, r#"le="10""#, r#"le="30""#].map(|bound| up_to(bound).unwrap());
        assert_eq!(counts, ["0", "1", "1", "2"], "{text}");
    }
}
