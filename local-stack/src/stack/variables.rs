//! The variables that the developer gives the services.

use std::{collections::BTreeSet, ffi::OsString, path::Path, process::Command};

/// Each process has addresses of its own, which the stack has to know.
const OWN_ADDRESSES: [&str; 3] = ["LISTEN", "GRPC_LISTEN", "HEALTH_LISTEN"];

/// Variables that no `--help` names: of libraries and of the system, and those that only tests set.
const ELSEWHERE: [&str; 9] =
    ["HOME", "LANG", "LD_PRELOAD", "MUTATION", "NO_COLOR", "PATH", "SSL_CERT_FILE", "TMPDIR", "TZ"];
const PREFIXES: [&str; 5] = ["FAKETIME", "MALLOC_", "OTEL_", "RUST_", "TOKIO_"];

/// Reads `KEY=VALUE`.
pub(super) fn key_value(text: &str) -> Result<(String, OsString), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if key.is_empty() || !key.chars().all(is_name) || key.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{key}` is not the name of a variable: expected KEY=VALUE"));
    }
    if OWN_ADDRESSES.contains(&key) {
        return Err(format!("{key} differs from process to process: --port says where the gateways listen"));
    }
    Ok((key.to_owned(), value.into()))
}

/// Those of the names that none of the programs in the folder knows, as their `--help` tells. A misspelt one would do
/// nothing without a word.
pub(super) fn unknown(folder: &Path, programs: &[&str], names: &[&str]) -> BTreeSet<String> {
    let mut unknown: BTreeSet<String> =
        names.iter().filter(|name| !is_read_elsewhere(name)).map(|name| (*name).to_owned()).collect();
    for program in programs {
        if unknown.is_empty() {
            break;
        }
        let help = Command::new(folder.join(program)).arg("--help").env_clear().output();
        // A program that cannot be asked is told of by its start.
        let Ok(help) = help else { return BTreeSet::new() };
        let known = variables(&String::from_utf8_lossy(&help.stdout));
        unknown.retain(|name| !known.contains(name));
    }
    unknown
}

fn is_read_elsewhere(name: &str) -> bool {
    ELSEWHERE.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The names in `[env: NAME=…]`, as clap writes them.
fn variables(help: &str) -> BTreeSet<String> {
    let rest = help.split("[env: ").skip(1);
    rest.filter_map(|rest| rest.split(['=', ']']).next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_program_stand_in_its_help() {
        let help = "--listen <LISTEN>\n  [env: LISTEN=]\n  [default: x]\n --sid-keys <SID_KEYS>  [env: SID_KEYS]\n";
        assert_eq!(variables(help).into_iter().collect::<Vec<_>>(), ["LISTEN", "SID_KEYS"]);
    }

    #[test]
    fn only_a_variable_that_nobody_reads_is_unknown() {
        let names = ["RUST_LOG", "OTEL_BSP_SCHEDULE_DELAY", "MUTATION"];
        assert!(unknown(Path::new("/"), &[], &names).is_empty());
        let found = unknown(Path::new("/"), &[], &["CORS_ORIGIN", "RUST_LOG"]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["CORS_ORIGIN"]);
    }
}
