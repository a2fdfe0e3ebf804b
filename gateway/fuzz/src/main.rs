//! The fuzz targets of the gateway in one program, which takes libFuzzer's arguments: `FUZZ_TARGET=frame fuzz …`.
//!
//! The modules under test are the gateway's own files, compiled into this crate: so nothing private has to become
//! public for it, and neither the rest of the gateway nor a library that it uses is built or instrumented. What such a
//! file needs of one that is not here is stood in for by a few lines.

#![no_main]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each module under test has more than the targets use")]

// The ids and codes of the crate `proto`, without gRPC and what builds it: `proto::UserId` is `crate::UserId`.
extern crate self as proto;

mod node;

use std::{process, sync::OnceLock};

use libfuzzer_sys::fuzz_target;

#[path = "../../../proto/src"]
mod contracts {
    pub mod code;
    pub mod ids;
}
use contracts::{
    code::Code,
    ids::{self, ClientId, MatchId, UserId},
};

// A target lies in the module that it fuzzes, to see what is private there.

#[path = "../../src/ws"]
mod ws {
    mod close;
    mod decoder;
    mod frame;
    mod violation;

    pub use decoder::{Decoder, Item};
    pub use frame::{Opcode, encode_header};
    pub use violation::Violation;

    #[path = "../../fuzz/src/frame.rs"]
    pub mod target;
}

#[path = "../../src/engineio"]
mod engineio {
    mod packet;
    mod payload;
    mod query;
    mod sid;

    pub use packet::Payload;
    pub use query::sid_of;
    pub use sid::SidSource;

    #[path = "../../fuzz/src/polling.rs"]
    pub mod target;
}

#[path = "../../src/socketio"]
mod socketio {
    mod event;
    mod json;
    mod limits;
    mod packet;

    pub use event::Args;
    pub use limits::{MAX_ATTACHMENTS, MAX_JSON_DEPTH};

    #[path = "../../fuzz/src/json.rs"]
    pub mod json_target;
    #[path = "../../fuzz/src/packet.rs"]
    pub mod packet_target;
}

#[path = "../../core/src/epoch.rs"]
mod epoch;

#[path = "../../core/src"]
mod chat {
    mod cursor;
    mod pid;
    // Generated for `proto::chat` from its `.proto` file.
    pub mod list_messages_request {
        pub enum Position {
            Before(i64),
            After(i64),
        }
    }

    pub enum Role {
        Member = 1,
        Admin = 2,
        Owner = 3,
    }

    impl From<Role> for i32 {
        fn from(role: Role) -> Self {
            role as Self
        }
    }

    #[derive(Debug, PartialEq)]
    pub struct Member {
        pub user_id: String,
        pub role: i32,
    }

    #[derive(Debug, PartialEq)]
    pub struct Group {
        pub title: Option<String>,
        pub members: Vec<Member>,
    }

    #[path = "../../fuzz/src/cursor.rs"]
    pub mod target;
}

#[path = "../../src/forwarding"]
mod forwarding {
    mod seal;

    #[path = "../../fuzz/src/sid.rs"]
    pub mod target;
}

#[path = "../../src/inboxes"]
mod inboxes {
    mod protocol;

    #[path = "../../fuzz/src/nats.rs"]
    pub mod target;
}

#[path = "../../core/src"]
mod parts {
    pub mod moment;
    pub mod payload;
}
use parts::payload;

/// The moment of an input, always the same.
mod moment {
    use std::time::Instant;

    pub use crate::parts::moment::Moment;

    pub fn now() -> Moment {
        Moment { now: Instant::now(), unix_ms: 0, random: 0 }
    }
}

mod message;

#[path = "../../src/limits"]
mod limits {
    mod budget;

    pub use budget::{Budget, Holding};
}

#[path = "../../src/rest"]
mod rest {
    mod body;
    mod params;
    mod request;

    pub use api::Api;

    /// What of the API a body needs.
    mod api {
        pub struct Api {
            pub held: crate::limits::Budget,
        }
    }

    #[path = "../../fuzz/src/rest.rs"]
    pub mod target;
}

/// A refusal, by its code alone.
mod failure {
    use std::time::Duration;

    use axum::response::{IntoResponse, Response};
    use proto::Code;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Failure(pub Code);

    impl Failure {
        pub fn invalid() -> Self {
            Self(Code::InvalidPayload)
        }

        pub fn rate_limited(_: Duration) -> Self {
            Self(Code::RateLimited)
        }
    }

    impl From<Code> for Failure {
        fn from(code: Code) -> Self {
            Self(code)
        }
    }

    /// The same by REST.
    #[derive(Debug)]
    pub struct Problem(pub Failure);

    impl From<Failure> for Problem {
        fn from(failure: Failure) -> Self {
            Self(failure)
        }
    }

    impl From<Code> for Problem {
        fn from(code: Code) -> Self {
            Self(code.into())
        }
    }

    impl IntoResponse for Problem {
        fn into_response(self) -> Response {
            Response::default()
        }
    }
}

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("frame", ws::target::run),
    ("polling", engineio::target::run),
    ("packet", socketio::packet_target::run),
    ("json", socketio::json_target::run),
    ("cursor", chat::target::run),
    ("sid", forwarding::target::run),
    ("nats", inboxes::target::run),
    ("message", message::run),
    ("rest", rest::target::run),
];

static TARGET: OnceLock<Target> = OnceLock::new();

/// The target that the environment names.
fn choose() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target).unwrap_or_else(|| {
        let names = TARGETS.map(|(known, _)| known).join(" ");
        eprintln!("fuzz: FUZZ_TARGET has to be one of: {names}");
        process::exit(2)
    })
}

fuzz_target!(|data: &[u8]| {
    let run = TARGET.get_or_init(choose);
    run(data);
});
