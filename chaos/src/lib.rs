//! Fault campaign: simulated users chat across gateways while faults strike, and a history checker verifies the
//! promises.

pub mod blame;
pub mod body;
pub mod campaign;
pub mod config;
pub mod crowd;
pub mod facts;
pub mod injector;
mod people;
pub mod report;
pub mod schedule;
pub mod stalls;
