//! Fault campaign: simulated users chat across gateways while faults strike, and a history checker verifies the promises.

pub mod schedule;
