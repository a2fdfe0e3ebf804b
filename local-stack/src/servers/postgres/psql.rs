//! Statements for a server, by its own client.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{process::Command, time::timeout};

/// The role and the database that every new cluster has.
pub(super) const SUPERUSER: &str = "postgres";
/// A server may hang; a promotion takes up to 30 s.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// How to reach a server as its superuser.
#[derive(Clone, Debug)]
pub(super) struct Psql {
    program: PathBuf,
    password: String,
    port: u16,
}

impl Psql {
    pub(super) fn new(bin: &Path, password: &str, port: u16) -> Self {
        Self { program: bin.join("psql"), password: password.to_owned(), port }
    }

    /// Runs the statement, in a transaction of its own where it needs one.
    ///
    /// # Returns
    /// The rows as lines, their columns separated by `|`.
    ///
    /// # Errors
    /// When the server refuses, cannot be reached or hangs.
    pub(super) async fn query(&self, sql: &str) -> Result<String> {
        let mut psql = Command::new(&self.program);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql]);
        psql.args(["--host=127.0.0.1", "--username", SUPERUSER, "--dbname", SUPERUSER, "--port"])
            .arg(self.port.to_string());
        psql.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "5").kill_on_drop(true);
        let output = timeout(ANSWERS_WITHIN, psql.output()).await.with_context(|| format!("{sql}: no answer"))?;
        let output = output.context("cannot start psql")?;
        if !output.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Creates a database unless it exists.
    ///
    /// # Errors
    /// When the name is not 1–63 of `a-z 0-9 _`, or the server refuses.
    pub(super) async fn create_database(&self, name: &str) -> Result<()> {
        let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(legal) {
            bail!("not a database name: {name:?}");
        }
        let exists = self.query(&format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).await?;
        if exists.is_empty() {
            self.query(&format!("CREATE DATABASE \"{name}\"")).await?;
        }
        Ok(())
    }
}
