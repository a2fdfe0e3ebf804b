//! W3C trace context in the headers of NATS messages and gRPC calls.

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct NatsHeaders<'a>(&'a mut async_nats::HeaderMap);

impl Injector for NatsHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key, value);
    }
}

struct Lines(String);

impl Injector for Lines {
    fn set(&mut self, key: &str, value: String) {
        self.0.extend([key, ": ", &value, "\r\n"]);
    }
}

struct ReceivedNatsHeaders<'a>(&'a async_nats::HeaderMap);

impl Extractor for ReceivedNatsHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(async_nats::HeaderValue::as_str)
    }
    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }
}

struct Getter<'a>(&'a dyn Fn(&str) -> Option<&'a str>);

impl Extractor for Getter<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (self.0)(key)
    }

    /// The W3C propagator asks for its headers by name.
    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

struct HttpHeaders<'a>(&'a mut http::HeaderMap);

impl Injector for HttpHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(name, value);
        }
    }
}

struct ReceivedHttpHeaders<'a>(&'a http::HeaderMap);

impl Extractor for ReceivedHttpHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The headers that carry the current span to whoever receives the NATS message; `None` when nothing is traced.
pub fn nats_headers() -> Option<async_nats::HeaderMap> {
    let context = traced_context()?;
    let mut headers = async_nats::HeaderMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut NatsHeaders(&mut headers)));
    Some(headers)
}

/// The same as lines `name: value`, each with its end; empty when nothing is traced.
pub fn nats_header_lines() -> String {
    let mut lines = Lines(String::new());
    if let Some(context) = traced_context() {
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut lines));
    }
    lines.0
}

/// Makes `span` a child of the span that a received NATS message carries.
pub fn continue_from_nats(span: &Span, headers: Option<&async_nats::HeaderMap>) {
    if let Some(headers) = headers {
        adopt(span, global::get_text_map_propagator(|propagator| propagator.extract(&ReceivedNatsHeaders(headers))));
    }
}

/// Makes `span` a child of the span that headers carry of which `get` gives the values by name.
pub fn continue_from<'a>(span: &Span, get: &'a dyn Fn(&str) -> Option<&'a str>) {
    adopt(span, global::get_text_map_propagator(|propagator| propagator.extract(&Getter(get))));
}

/// Adds the current span to the headers of an HTTP or gRPC request.
pub fn inject_into_http(headers: &mut http::HeaderMap) {
    if let Some(context) = traced_context() {
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HttpHeaders(headers)));
    }
}

/// Makes `span` a child of the span that a received HTTP or gRPC request carries.
pub fn continue_from_http(span: &Span, headers: &http::HeaderMap) {
    adopt(span, global::get_text_map_propagator(|propagator| propagator.extract(&ReceivedHttpHeaders(headers))));
}

fn traced_context() -> Option<Context> {
    let span = Span::current();
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    context.span().span_context().is_valid().then_some(context)
}

fn adopt(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid() {
        // Fails only where no span is exported, and then there is nothing to continue.
        let _ = span.set_parent(parent);
    }
}
