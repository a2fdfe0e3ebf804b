//! What fails again and again is told once: a log has one line when an outage begins and one when it is over.

use std::sync::atomic::{AtomicBool, Ordering};

/// Remembers whether an outage was told.
#[derive(Debug, Default)]
pub struct Outage(AtomicBool);

impl Outage {
    /// It failed. True if that begins an outage: then it is to be told.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// It succeeded. True if that ends an outage: then that is to be told.
    pub fn ends(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outage_begins_and_ends_once() {
        let outage = Outage::default();
        assert!(!outage.ends());
        for _ in 0..2 {
            assert_eq!([outage.begins(), outage.begins(), outage.begins()], [true, false, false]);
            assert_eq!([outage.ends(), outage.ends()], [true, false]);
        }
    }
}
