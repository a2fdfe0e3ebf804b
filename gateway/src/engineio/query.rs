//! The query of a request.

/// The parameters that matter. Their values need no percent-decoding: a legal one has no character to be escaped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) eio: Option<&'a str>,
    pub(super) transport: Option<&'a str>,
    pub(super) sid: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// Reads a query string; of a repeated parameter the last one counts, as for the reference server.
    pub(super) fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "EIO" => parsed.eio = Some(value),
                "transport" => parsed.transport = Some(value),
                "sid" if !value.is_empty() => parsed.sid = Some(value),
                _ => {}
            }
        }
        parsed
    }
}

/// The session id that a query string names.
pub fn sid_of(query: &str) -> Option<&str> {
    Query::parse(query).sid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_wherever_they_stand() {
        let query = Query::parse("t=x1&EIO=4&sid=abc&transport=polling&b64");
        assert_eq!(query, Query { eio: Some("4"), transport: Some("polling"), sid: Some("abc") });
        assert_eq!(Query::parse(""), Query::default());
        assert_eq!(Query::parse("sid=&EIO"), Query { eio: Some(""), ..Query::default() });
        assert_eq!(Query::parse("transport=a&transport=b").transport, Some("b"));
    }
}
