//! The query of a request.

/// The parameters that matter. Their values need no percent-decoding: a legal one has no character to be escaped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) eio: Option<&'a str>,
    pub(super) transport: Option<&'a str>,
    pub(super) sid: Option<&'a str>,
    /// It has the time of the request, `t`, which keeps caches from answering.
    pub(super) has_time: bool,
    /// The answer is to be a script, as for `j`.
    pub(super) is_jsonp: bool,
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
                "t" => parsed.has_time = true,
                "j" => parsed.is_jsonp = true,
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

/// Whether a request with this query asks for a new session, if only to be refused: it names a transport and no
/// session.
pub fn begins_session(query: &str) -> bool {
    let query = Query::parse(query);
    query.transport.is_some() && query.sid.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_wherever_they_stand() {
        let query = Query::parse("t=x1&EIO=4&sid=abc&transport=polling&b64");
        assert_eq!(
            query,
            Query { eio: Some("4"), transport: Some("polling"), sid: Some("abc"), has_time: true, is_jsonp: false }
        );
        assert_eq!(Query::parse(""), Query::default());
        assert_eq!(Query::parse("sid=&EIO"), Query { eio: Some(""), ..Query::default() });
        assert_eq!(Query::parse("transport=a&transport=b").transport, Some("b"));
    }

    #[test]
    fn only_a_session_that_is_named_spares_a_request_from_beginning_one() {
        let lookalikes =
            ["xsid=1", "sid=", "sid", "t=sid=1", "SID=1", "%73id=1", "sid%3D1", "t=&sid=&sid=", "sid[]=1", "Sid=1"];
        for lookalike in lookalikes {
            assert!(begins_session(&format!("EIO=4&transport=polling&{lookalike}")), "{lookalike}");
            assert!(begins_session(&format!("{lookalike}&EIO=4&transport=websocket")), "{lookalike}");
        }
        for named in ["sid=1", "sid=1&sid=", "sid=&sid=1", "sid=a=b"] {
            assert!(!begins_session(&format!("EIO=4&transport=polling&{named}")), "{named}");
            assert!(!begins_session(&format!("{named}&EIO=4&transport=polling")), "{named}");
        }
        for other in ["", "EIO=4", "xtransport=polling", "t=transport=polling", "Transport=polling"] {
            assert!(!begins_session(other), "{other}");
        }
    }
}
