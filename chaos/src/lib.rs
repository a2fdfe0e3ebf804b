//! Fault campaign: simulated users chat across gateways while faults strike, and a history checker verifies the promises.

pub mod blame;
pub mod campaign;
pub mod checker;
pub mod config;
pub mod crowd;
pub mod facts;
pub mod history;
pub mod injector;
mod people;
pub mod report;
pub mod schedule;
pub mod stalls;
pub mod tag;
