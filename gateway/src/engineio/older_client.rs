//! What a socket.io-client 2.x is told: it speaks Engine.IO 3, and shows of an HTTP error no more than "xhr poll
//! error", for ever.

use super::{answer::answer, query::Query};
use axum::body::Body;
use http::Response;

/// The endpoint of Socket.IO. Other protocols on Engine.IO have packets of their own.
const PATH: &str = "/socket.io/";

/// An open packet, which the client wants first; Socket.IO 2's ERROR (`44`), which it emits as `error`; and DISCONNECT
/// (`41`), after which it does not come back. In Engine.IO 3 each packet stands behind its length. No session has this
/// id.
const FAREWELL: &str = concat!(
    r#"70:0{"sid":"none","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#,
    r#"60:44"this server speaks Socket.IO 4: use socket.io-client 4.x""#,
    "2:41",
);

/// Whether the request is such a client's first. Its polls carry the time in `t`, by which it is told from other
/// programs that ask for this version: these get the protocol's error.
pub(super) fn has_asked(path: &str, query: &Query<'_>) -> bool {
    path == PATH && query.eio == Some("3") && query.transport == Some("polling") && query.has_time && !query.is_jsonp
}

/// The one line that the client shows.
pub(super) fn farewell() -> Response<Body> {
    answer("text/plain; charset=UTF-8", FAREWELL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_stands_behind_its_length() {
        let mut rest = FAREWELL;
        let mut packets = Vec::new();
        while let Some((length, after)) = rest.split_once(':') {
            let (packet, next) = after.split_at(length.parse().unwrap());
            packets.push(packet);
            rest = next;
        }
        assert_eq!(rest, "");
        assert_eq!(packets.iter().map(|packet| &packet[..2]).collect::<Vec<_>>(), ["0{", "44", "41"]);
        assert!(serde_json::from_str::<serde_json::Value>(&packets[0][1..]).is_ok());
        assert!(serde_json::from_str::<String>(&packets[1][2..]).is_ok());
    }

    #[test]
    fn only_the_polls_of_such_a_client_are_told_so() {
        let told = |path, query| has_asked(path, &Query::parse(query));
        assert!(told(PATH, "token=x&EIO=3&transport=polling&t=Q8cYaAg&b64=1"));
        for query in [
            "EIO=3&transport=polling",
            "EIO=4&transport=polling&t=x",
            "EIO=3&transport=websocket&t=x",
            "EIO=3&transport=polling&t=x&j=0",
        ] {
            assert!(!told(PATH, query), "{query}");
        }
        assert!(!told("/engine.io/", "EIO=3&transport=polling&t=x"));
    }
}
