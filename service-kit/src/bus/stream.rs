//! Streams of JetStream: made when they are missing, so that wiped servers need nobody to set them up again.

use anyhow::Context;
use async_nats::jetstream::{self, stream};
use proto::streams::Stream;

use super::Bus;

/// Copies of a stream where several servers form a cluster: it survives the loss of one.
const CLUSTER_REPLICAS: usize = 3;

impl Bus {
    /// The stream, created if it is missing.
    ///
    /// An existing one is taken as it is, whatever its settings.
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
        self.jetstream().get_or_create_stream(config).await.with_context(|| format!("no stream {}", stream.name))
    }
}
