//! The processes that a process has started, as far as they still live (PostgreSQL serves each client in one).

use std::{fs, str::FromStr};

use rustix::process::{Pid, Signal, kill_process};

/// The process itself, then its descendants, parents first.
pub(super) fn with_descendants(root: u32) -> Vec<u32> {
    let processes = parents();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    found
}

/// Sends the signal to each that still exists.
pub(super) fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        // It may have ended since it was listed.
        let _ = kill_process(pid, signal);
    }
}

/// Every process of the machine with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = u32::from_str(entry.file_name().to_str()?).ok()?;
            Some((pid, parent_in_stat(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

/// `pid (name) state ppid …`, where the name may hold spaces and parentheses (proc(5)).
fn parent_in_stat(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_a_name_with_parentheses() {
        assert_eq!(parent_in_stat("12 (a b) c)) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in_stat("12"), None);
    }
}
