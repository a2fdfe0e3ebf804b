//! A PostgreSQL data folder: found or made by `initdb`.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::time::{sleep, timeout};

use super::SUPERUSER;
use crate::{
    process::{Launch, POLL, Process},
    programs, secret,
    servers::create_folder,
};

const INITDB_WITHIN: Duration = Duration::from_mins(2);
/// PostgreSQL refuses to run as root; its packages bring this user.
const UNPRIVILEGED_USER: &str = "postgres";

/// A data folder and the programs that can serve it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) data: PathBuf,
    pub(super) bin: PathBuf,
    pub(super) password: String,
}

/// Whom PostgreSQL has to run as, if not as ourselves.
pub(super) fn user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some(UNPRIVILEGED_USER)
}

/// The cluster in `postgres/` of the folder.
pub(super) async fn open_or_create(dir: &Path) -> Result<Cluster> {
    let home = dir.join("postgres");
    let data = home.join("data");
    if let Some(major) = major_of(&data) {
        let password = fs::read_to_string(home.join("password")).context("cannot read PostgreSQL's password")?;
        return Ok(Cluster { bin: programs::postgres_bin(Some(major))?, data, password });
    }
    let bin = programs::postgres_bin(None)?;
    let password = create(dir, &home, &bin).await?;
    Ok(Cluster { data, bin, password })
}

fn major_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Runs `initdb` beside the final place and moves the result there, so that an interrupted one is never taken for whole.
async fn create(dir: &Path, home: &Path, bin: &Path) -> Result<String> {
    create_folder(home)?;
    let unfinished = home.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot remove an unfinished data folder")?;
    }
    let password = secret::random_hex()?;
    let password_file = home.join("password");
    secret::write_private(&password_file, &password)?;
    give_to_server(&[home, &password_file])?;
    let launch = Launch {
        name: "initdb".to_owned(),
        program: bin.join("initdb"),
        args: initdb_arguments(&unfinished, &password_file),
        env: Vec::new(),
        log: dir.join("log/initdb.log"),
        orphan_signal: "KILL",
        user: user(),
    };
    run_to_end(&launch).await?;
    fs::rename(&unfinished, home.join("data")).context("cannot move the new data folder")?;
    Ok(password)
}

fn initdb_arguments(data: &Path, password_file: &Path) -> Vec<std::ffi::OsString> {
    let mut args: Vec<std::ffi::OsString> =
        ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username", SUPERUSER].map(Into::into).into();
    args.extend(["--pwfile".into(), password_file.into(), "--pgdata".into(), data.into()]);
    args
}

async fn run_to_end(launch: &Launch) -> Result<()> {
    let mut process = Process::spawn(launch)?;
    let ended = async {
        loop {
            if let Some(status) = process.exited() {
                return status;
            }
            sleep(POLL).await;
        }
    };
    let status = timeout(INITDB_WITHIN, ended).await.with_context(|| format!("{} takes too long", launch.name))?;
    if !status.success() {
        bail!("{} failed ({status}): {}", launch.name, process.last_lines(5));
    }
    Ok(())
}

fn give_to_server(paths: &[&Path]) -> Result<()> {
    let Some(user) = user() else { return Ok(()) };
    let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let (uid, gid) = ids_in_passwd(&passwd, user)
        .with_context(|| format!("PostgreSQL refuses to run as root, and there is no user {user} to run it as"))?;
    for path in paths {
        chown(path, Some(uid), Some(gid)).with_context(|| format!("cannot give {} to {user}", path.display()))?;
    }
    Ok(())
}

/// `name:password:uid:gid:…` (passwd(5)).
fn ids_in_passwd(passwd: &str, user: &str) -> Option<(u32, u32)> {
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(user)).then_some(fields))?;
    Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_user_are_found() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:105:110:PostgreSQL:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(ids_in_passwd(passwd, "postgres"), Some((105, 110)));
        assert_eq!(ids_in_passwd(passwd, "post"), None);
    }
}
