//! The ends of faults in the order of time.

use std::time::Duration;

use super::{Fault, Schedule};

/// One end of a fault in time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Edge {
    /// It begins.
    Strike,
    /// It is over.
    Mend,
}

impl Schedule {
    /// Both ends of every fault, in order of time; of what happens at the same time the strikes come first.
    pub fn steps(&self) -> Vec<(Duration, Edge, Fault)> {
        let ends = |fault: &Fault| [(fault.at, Edge::Strike, fault.clone()), (fault.end(), Edge::Mend, fault.clone())];
        let mut steps: Vec<_> = self.faults.iter().flat_map(ends).collect();
        steps.sort_by_key(|(at, edge, _)| (*at, *edge));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_and_are_mended_by_time() {
        let schedule: Schedule = "1+4 kill a-0; 2+1 freeze b-0; 3 flush redis".parse().unwrap();
        let steps: Vec<String> =
            schedule.steps().iter().map(|(at, edge, fault)| format!("{at:?} {edge:?} {}", fault.target)).collect();
        assert_eq!(
            steps,
            ["1s Strike a-0", "2s Strike b-0", "3s Strike redis", "3s Mend b-0", "3s Mend redis", "5s Mend a-0"]
        );
    }
}
