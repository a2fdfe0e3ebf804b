//! Streams of JetStream: made when they are missing, so that wiped servers need nobody to set them up again.

use anyhow::Context;
use async_nats::jetstream::{self, stream};
use proto::streams::Stream;
use tracing::{info, warn};

use super::Bus;

/// Copies of a stream where several servers form a cluster: it survives the loss of one.
const CLUSTER_REPLICAS: usize = 3;

impl Bus {
    /// The stream, created if it is missing.
    ///
    /// An existing one keeps its settings, except that it gets more copies when the server that it was made on has
    /// become part of a cluster. While a cluster has no leader, or too few servers for the copies, there is none.
    pub async fn ensure_stream(&self, stream: &Stream) -> anyhow::Result<jetstream::stream::Stream> {
        let clustered = self.client.server_info().cluster.is_some();
        let config = stream::Config {
            name: stream.name.clone(),
            subjects: stream.subjects.clone(),
            max_age: stream.max_age,
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::Old,
            num_replicas: if clustered { CLUSTER_REPLICAS } else { 1 },
            ..stream::Config::default()
        };
        let wanted = config.num_replicas;
        let found = self.jetstream().get_or_create_stream(config).await;
        let found = found.with_context(|| format!("no stream {}", stream.name))?;
        let existing = &found.cached_info().config;
        if existing.num_replicas < wanted {
            let safer = stream::Config { num_replicas: wanted, ..existing.clone() };
            match self.jetstream().update_stream(safer).await {
                Ok(_) => info!(stream = stream.name, copies = wanted, "the stream has more copies now"),
                // It is as good as before.
                Err(error) => warn!(stream = stream.name, %error, "the stream cannot have more copies"),
            }
        }
        Ok(found)
    }
}
