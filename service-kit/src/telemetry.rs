//! Logs, traces and metrics: what a process says of itself, and how a trace travels between processes.

mod filter;
mod instruments;
pub mod propagation;

pub(crate) use filter::TASK_SPAN;
pub use instruments::seconds;

use std::{sync::LazyLock, time::Duration};

use anyhow::Context;
use opentelemetry::{global, trace::TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use prometheus::{Registry, TextEncoder};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, FilterFn, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{LogFormat, ProcessConfig};

/// Libraries whose spans would drown ours in a trace.
const LIBRARIES: [&str; 5] = ["h2", "hyper", "tonic", "tower", "async_nats"];

/// A stop may last longer by this.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Flushes what is still to be exported when it is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    traces: Option<SdkTracerProvider>,
    metrics: SdkMeterProvider,
}

impl Guard {
    /// Exports what is still to be exported, for [`FLUSH_TIMEOUT`] at most: whoever takes it may be away.
    pub(crate) async fn flush(self) {
        let flushed = tokio::task::spawn_blocking(move || drop(self));
        if tokio::time::timeout(FLUSH_TIMEOUT, flushed).await.is_err() {
            tracing::warn!("the last traces and metrics were not exported in time");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "the last traces were not exported");
        }
        if let Err(error) = self.metrics.shutdown() {
            tracing::warn!(%error, "the last metrics were not exported");
        }
    }
}

/// Sets up the process's logs, metrics, and, with an OTLP endpoint, the export of traces and metrics.
pub(crate) fn init(name: &'static str, config: &ProcessConfig) -> anyhow::Result<Guard> {
    let resource = Resource::builder().with_service_name(name).build();
    let traces = config.otlp_endpoint.as_deref().map(|endpoint| tracer_provider(endpoint, &resource)).transpose()?;
    let metrics = meter_provider(config.otlp_endpoint.as_deref(), resource)?;
    global::set_meter_provider(metrics.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());

    let filter = EnvFilter::try_new(&config.log_filter).context("--log-filter is malformed")?;
    let thrift = filter::thrift(&filter);
    let logged = filter.and(filter::discretion()).and(filter::restraint(&config.log_filter)).and(thrift);
    let logs = match config.log_format {
        LogFormat::Json => tracing_subscriber::fmt::layer().json().flatten_event(true).boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer().boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(logs.with_filter(logged));
    match &traces {
        Some(provider) => {
            let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer(name));
            subscriber.with(spans.with_filter(span_filter())).try_init()?;
        }
        // A layer that is absent would have each span looked at.
        None => subscriber.try_init()?,
    }
    Ok(Guard { traces, metrics })
}

/// Only our own spans make a trace.
fn span_filter() -> FilterFn {
    filter_fn(|metadata| {
        metadata.is_span()
            && *metadata.level() <= tracing::Level::INFO
            && metadata.name() != TASK_SPAN
            && !LIBRARIES.iter().any(|library| metadata.target().starts_with(library))
    })
}

fn tracer_provider(endpoint: &str, resource: &Resource) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .context("--otlp-endpoint cannot be used for traces")?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone()).build())
}

fn meter_provider(endpoint: Option<&str>, resource: Resource) -> anyhow::Result<SdkMeterProvider> {
    let prometheus = opentelemetry_prometheus::exporter().with_registry(REGISTRY.clone()).build()?;
    let builder = SdkMeterProvider::builder().with_reader(prometheus).with_resource(resource);
    let Some(endpoint) = endpoint else {
        return Ok(builder.build());
    };
    let exporter = opentelemetry_otlp::MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .context("--otlp-endpoint cannot be used for metrics")?;
    Ok(builder.with_reader(PeriodicReader::builder(exporter).build()).build())
}

/// All metrics in Prometheus' text format.
pub(crate) fn prometheus_text() -> String {
    TextEncoder::new().encode_to_string(&REGISTRY.gather()).unwrap_or_default()
}
