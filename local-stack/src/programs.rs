//! Where the servers' programs are on this machine.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// JetStream's per-message features that the services use came with 2.12.
const NATS_MIN: (u32, u32) = (2, 12);
const UNPACKED_NATS: &str = ".local/bin/nats-server";
const POSTGRES_MIN: u32 = 15;

/// `NATS_SERVER`, else a new enough one on the `PATH`, else the one that `./dev` unpacked into `.local/bin` of the
/// working directory or of the repository.
pub(crate) fn nats_server() -> Result<PathBuf> {
    if let Some(path) = env::var_os("NATS_SERVER") {
        return Ok(path.into());
    }
    let unpacked = ["", concat!(env!("CARGO_MANIFEST_DIR"), "/..")].map(|dir| Path::new(dir).join(UNPACKED_NATS));
    on_path("nats-server")
        .into_iter()
        .chain(unpacked)
        .find(|path| version_of(path).is_some_and(|version| version >= NATS_MIN))
        .with_context(|| missing("nats-server 2.12 or newer", "or set NATS_SERVER"))
}

pub(crate) fn redis_server() -> Result<PathBuf> {
    on_path("redis-server").with_context(|| missing("redis-server", "or install the package redis-server"))
}

/// Needed to let children die with this process, and to start PostgreSQL as root.
pub(crate) fn setpriv() -> Result<PathBuf> {
    on_path("setpriv").with_context(|| missing("setpriv", "or install the package util-linux"))
}

/// libfaketime, with which the clock of a program can be set that knows nothing of it.
pub(crate) fn faketime_library() -> Result<PathBuf> {
    // Debian has one folder for each architecture.
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.is_file()).with_context(|| missing("libfaketime", "or install the package faketime"))
}

/// The folder with `postgres`, `initdb` and `psql`: of exactly this major version if given (a data folder can only be
/// served by its own), else the newest.
pub(crate) fn postgres_bin(major: Option<u32>) -> Result<PathBuf> {
    let mut found = installed_postgres();
    found.sort_unstable();
    match major {
        None => {
            let newest = found.pop().filter(|(version, _)| *version >= POSTGRES_MIN);
            Ok(newest
                .with_context(|| {
                    missing(&format!("PostgreSQL {POSTGRES_MIN} or newer"), "or install the package postgresql")
                })?
                .1)
        }
        Some(major) => match found.into_iter().find(|(version, _)| *version == major) {
            Some((_, bin)) => Ok(bin),
            None => {
                bail!("the data is of PostgreSQL {major}, which is not installed: install it or remove the data folder")
            }
        },
    }
}

/// Debian keeps each major version in a folder of its own, off the `PATH`.
fn installed_postgres() -> Vec<(u32, PathBuf)> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    // Often a link into the folder that holds the others too.
    if let Some(postgres) = on_path("postgres").and_then(|path| path.canonicalize().ok())
        && let Some((major, _)) = version_of(&postgres)
        && let Some(bin) = postgres.parent()
    {
        found.push((major, bin.to_owned()));
    }
    found.retain(|(_, bin)| ["initdb", "postgres", "psql"].iter().all(|program| bin.join(program).is_file()));
    found
}

/// One line that says what to do first: `cargo test` alone installs nothing.
fn missing(program: &str, otherwise: &str) -> String {
    format!("{program} not found: run ./dev test, which installs all that is needed, {otherwise}")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).chain(Some("/usr/sbin".into())).map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn version_of(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Major and minor of the first word that looks like a version: `nats-server: v2.15.1`, `postgres (PostgreSQL) 17.2`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches('v').split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_servers_print_them() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), Some((15, 13)));
        assert_eq!(parse_version("no version here"), None);
    }
}
