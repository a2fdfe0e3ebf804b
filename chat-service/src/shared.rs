//! What most of the service needs.

use service_kit::bus::Bus;

use crate::{audiences::Audiences, metrics::Metrics, posted::Posted, store::Store};

/// The servers, and where commits and measurements are noted. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) audiences: Audiences,
    pub(crate) bus: Bus,
    pub(crate) posted: Posted,
    pub(crate) metrics: Metrics,
}
