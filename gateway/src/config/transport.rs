//! The flags of the transport's limits: what a connection may hold, and how long it may take.

use std::{sync::Arc, time::Duration};

use clap::{Args, value_parser};

use crate::{
    engineio,
    limits::{Budget, Rate},
    listener,
};

/// The limits of each connection.
#[derive(Debug, Clone, Args)]
pub struct TransportLimits {
    /// Milliseconds from one ping to the next.
    #[arg(long, env = "PING_INTERVAL_MS", default_value_t = 25_000, value_parser = value_parser!(u64).range(100..))]
    pub ping_interval_ms: u64,

    /// Milliseconds in which a client has to answer a ping.
    #[arg(long, env = "PING_TIMEOUT_MS", default_value_t = 20_000, value_parser = value_parser!(u64).range(100..))]
    pub ping_timeout_ms: u64,

    /// Milliseconds after which a write that makes no progress closes the transport.
    #[arg(long, env = "WRITE_TIMEOUT_MS", default_value_t = 10_000, value_parser = value_parser!(u64).range(100..))]
    pub write_timeout_ms: u64,

    /// Bytes that may wait to be sent to a client before its transport is closed.
    #[arg(long, env = "MAX_QUEUED_BYTES", default_value_t = 256 * 1024)]
    pub max_queued_bytes: usize,

    /// Packets that may wait to be sent to a client before its transport is closed.
    #[arg(long, env = "MAX_QUEUED_PACKETS", default_value_t = 1_000)]
    pub max_queued_packets: usize,

    /// Bytes that all clients together may have waiting: packets for those who do not read, messages and bodies that
    /// are not complete. One that has more than 8 KB and adds to it when all are used up is cut off.
    #[arg(long, env = "MAX_HELD_BYTES", default_value_t = 64 * 1024 * 1024)]
    pub max_held_bytes: usize,

    /// Seconds that an HTTP connection is kept for its next request. More than a load balancer keeps its connections,
    /// or that loses requests; and more than 10, for which gateways keep theirs to one another.
    #[arg(long, env = "KEEP_ALIVE_S", default_value_t = 75, value_parser = value_parser!(u64).range(1..=86_400))]
    pub keep_alive_s: u64,

    /// Largest WebSocket message and body of a polling POST, in bytes.
    #[arg(long, env = "MAX_PAYLOAD_BYTES", default_value_t = 64 * 1024)]
    pub max_payload_bytes: usize,

    /// Largest size of a request's headers, in bytes; at least 8 KB.
    #[arg(long, env = "MAX_HEADER_BYTES", default_value_t = 16 * 1024)]
    pub max_header_bytes: usize,

    /// New connections per client address; loopback is exempt.
    #[arg(long, env = "LIMIT_CONNECTIONS", value_name = "PER_SECOND/BURST", default_value = "50/500")]
    pub limit_connections: Rate,
}

impl TransportLimits {
    /// The part that Engine.IO keeps.
    pub fn engine(&self) -> engineio::Config {
        engineio::Config {
            ping_interval: Duration::from_millis(self.ping_interval_ms),
            ping_timeout: Duration::from_millis(self.ping_timeout_ms),
            write_timeout: Duration::from_millis(self.write_timeout_ms),
            max_queued_bytes: self.max_queued_bytes,
            max_queued_packets: self.max_queued_packets,
            held: Arc::new(Budget::new(self.max_held_bytes)),
            max_payload: self.max_payload_bytes,
            ..engineio::Config::default()
        }
    }

    /// The part that the accept loop keeps.
    pub fn listener(&self) -> listener::Config {
        listener::Config {
            keep_alive: Duration::from_secs(self.keep_alive_s),
            max_header_bytes: self.max_header_bytes,
            connections: self.limit_connections,
            ..listener::Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        limits: TransportLimits,
    }

    #[test]
    fn the_defaults_are_those_of_the_protocols() {
        let limits = Flags::parse_from(["gateway"]).limits;
        assert_eq!(format!("{:?}", limits.engine()), format!("{:?}", engineio::Config::default()));
        assert_eq!(format!("{:?}", limits.listener()), format!("{:?}", listener::Config::default()));
    }
}
