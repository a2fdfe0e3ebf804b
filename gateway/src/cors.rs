//! Which web pages may call the HTTP side (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>).

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use std::str::FromStr;

/// Methods that a preflight allows.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// How long a browser may keep a preflight's answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Allowed origins. The default allows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// `*`
    Any,
    /// `https://app.example`
    Exact(String),
    /// `http://localhost:*`: kept up to and with the colon.
    AnyPort(String),
}

/// An entry that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin such as https://app.example, http://localhost:* or *")]
pub struct InvalidOrigin(String);

impl FromStr for Pattern {
    type Err = InvalidOrigin;

    fn from_str(entry: &str) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin(entry.to_owned());
        if entry == "*" {
            return Ok(Self::Any);
        }
        let (scheme, authority) = entry.split_once("://").ok_or_else(invalid)?;
        let (host, wildcard) = authority.strip_suffix(":*").map_or((authority, false), |host| (host, true));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if scheme.is_empty() || host.is_empty() || !host.chars().all(is_plain) {
            return Err(invalid());
        }
        let entry = entry.to_ascii_lowercase();
        Ok(match entry.strip_suffix('*') {
            Some(prefix) if wildcard => Self::AnyPort(prefix.to_owned()),
            _ => Self::Exact(entry),
        })
    }
}

impl Pattern {
    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => origin == exact,
            Self::AnyPort(prefix) => {
                origin.strip_prefix(prefix.as_str()).is_some_and(|port| port.parse::<u16>().is_ok())
                    || prefix.strip_suffix(':') == Some(origin)
            }
        }
    }
}

impl FromStr for Origins {
    type Err = InvalidOrigin;

    /// Reads a comma-separated list; an empty one allows nothing.
    fn from_str(list: &str) -> Result<Self, InvalidOrigin> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Origins {
    /// Whether pages of `origin` are allowed.
    pub fn allow(&self, origin: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(origin))
    }

    /// Adds the headers that let the page of a request with these headers read the answer, if its origin is allowed.
    pub fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        if self.0.contains(&Pattern::Any) {
            response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return;
        }
        response.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request.get(header::ORIGIN) else { return };
        if origin.to_str().is_ok_and(|origin| self.allow(origin)) {
            response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// The answer to a preflight (`OPTIONS`); `None` if the request is none or no origin is allowed at all. A page that
    /// is not allowed gets an answer without permission.
    pub fn preflight<B: Default>(&self, method: &Method, request: &HeaderMap) -> Option<Response<B>> {
        if self.0.is_empty() || method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.apply(request, headers);
        if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            if let Some(asked) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
                let vary = HeaderValue::from_name(header::ACCESS_CONTROL_REQUEST_HEADERS);
                headers.append(header::VARY, vary);
            }
        }
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &str) -> Origins {
        list.parse().unwrap()
    }

    #[test]
    fn exact_origins_and_any_port_are_matched_whole() {
        let origins = origins("https://app.example, http://localhost:*");
        for allowed in ["https://app.example", "http://localhost:5173", "http://localhost"] {
            assert!(origins.allow(allowed), "{allowed}");
        }
        let refused = [
            "https://app.example.evil",
            "https://app.example:444",
            "http://app.example",
            "http://localhost:1.evil",
            "http://localhost.evil:80",
            "https://localhost:5173",
            "http://localhost:",
            "null",
            "",
        ];
        for origin in refused {
            assert!(!origins.allow(origin), "{origin}");
        }
    }

    #[test]
    fn entries_that_are_no_origin_are_refused() {
        for entry in ["app.example", "https://", "https://app.example/", "https://*.example", "http://:*", "**"] {
            assert_eq!(entry.parse::<Origins>(), Err(InvalidOrigin(entry.to_owned())), "{entry}");
        }
        assert_eq!(origins(" , "), Origins::default());
    }

    #[test]
    fn a_preflight_permits_only_who_is_allowed() {
        let preflight = |origin: &'static str| {
            let mut request = HeaderMap::new();
            request.insert(header::ORIGIN, HeaderValue::from_static(origin));
            origins("http://localhost:*").preflight::<()>(&Method::OPTIONS, &request).unwrap()
        };
        let allowed = preflight("http://localhost:3000");
        assert_eq!(allowed.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "http://localhost:3000");
        assert_eq!(allowed.headers()[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        let refused = preflight("https://evil.example");
        assert!(!refused.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(!refused.headers().contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
        assert_eq!(refused.headers()[header::VARY], "Origin");
    }

    #[test]
    fn without_origins_nothing_is_said() {
        let mut response = HeaderMap::new();
        Origins::default().apply(&HeaderMap::new(), &mut response);
        assert!(response.is_empty());
        assert!(Origins::default().preflight::<()>(&Method::OPTIONS, &HeaderMap::new()).is_none());
    }
}
