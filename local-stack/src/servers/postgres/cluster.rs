//! A PostgreSQL data folder: found or made by `initdb`.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::time::{sleep, timeout};

use super::psql::SUPERUSER;
use crate::{
    process::{Launch, POLL, Process},
    programs, secret,
    servers::starting::create_folder,
};

/// For `initdb` and `pg_basebackup`.
const MADE_WITHIN: Duration = Duration::from_mins(2);
/// PostgreSQL refuses to run as root; its packages bring this user.
const UNPRIVILEGED_USER: &str = "postgres";

/// The data folders of a server and of its standby; which is whose changes with each promotion.
pub(super) const DATA: [&str; 2] = ["data", "data-1"];
/// A data folder with this file is a standby's (PostgreSQL documentation, "Standby Server Operation").
const STANDBY_SIGNAL: &str = "standby.signal";

/// A data folder and the programs that can serve it.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// Where the data folder lies.
    pub(super) home: PathBuf,
    pub(super) data: PathBuf,
    pub(super) bin: PathBuf,
    pub(super) password: String,
}

/// Whom PostgreSQL has to run as, if not as ourselves.
pub(super) fn user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some(UNPRIVILEGED_USER)
}

/// The cluster in `postgres/` of the folder: the one that takes writes.
pub(super) async fn open_or_create(dir: &Path) -> Result<Cluster> {
    let home = dir.join("postgres");
    if let Some((data, major)) = primary_in(&home)? {
        let password = fs::read_to_string(home.join("password")).context("cannot read PostgreSQL's password")?;
        return Ok(Cluster { bin: programs::postgres_bin(Some(major))?, home, data, password });
    }
    let bin = programs::postgres_bin(None)?;
    let password = create(dir, &home, &bin).await?;
    Ok(Cluster { data: home.join(DATA[0]), home, bin, password })
}

/// The data folder that is no standby's, with its PostgreSQL's major version.
fn primary_in(home: &Path) -> Result<Option<(PathBuf, u32)>> {
    let found = DATA.iter().map(|name| home.join(name)).filter_map(|data| major_of(&data).map(|major| (data, major)));
    let (mut standbys, mut primaries): (Vec<_>, Vec<_>) =
        found.partition(|(data, _)| data.join(STANDBY_SIGNAL).exists());
    if let (None, Some((data, _))) = (primaries.last(), standbys.last()) {
        // Its primary was fenced, and the promotion cut short.
        fs::remove_file(data.join(STANDBY_SIGNAL)).context("cannot make the standby the primary")?;
        primaries.append(&mut standbys);
    }
    Ok(primaries.pop())
}

/// Takes a data folder away for good: no server can be started on it again.
pub(super) fn remove(data: &Path) -> Result<()> {
    if !data.exists() {
        return Ok(());
    }
    // In one step, so that half of it is never taken for whole.
    let condemned = data.with_added_extension("old");
    let _ = fs::remove_dir_all(&condemned);
    fs::rename(data, &condemned).with_context(|| format!("cannot remove {}", data.display()))?;
    // The server's last processes may still be at it; what they leave is removed the next time.
    let _ = fs::remove_dir_all(&condemned);
    Ok(())
}

/// Copies the data of a running server into the folder `data`, to be a standby's.
pub(super) async fn copy(dir: &Path, cluster: &Cluster, port: u16, data: &Path) -> Result<()> {
    remove(data)?;
    let unfinished = data.with_added_extension("new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot remove an unfinished data folder")?;
    }
    let port = port.to_string();
    let options = ["--host=127.0.0.1", "--username", SUPERUSER, "--checkpoint=fast", "--no-password", "--port", &port];
    let launch = Launch {
        name: "pg_basebackup".to_owned(),
        program: cluster.bin.join("pg_basebackup"),
        args: options.into_iter().map(Into::into).chain(["--pgdata".into(), unfinished.clone().into()]).collect(),
        env: vec![("PGPASSFILE".to_owned(), password_file(&cluster.home).into())],
        log: dir.join("log/pg_basebackup.log"),
        orphan_signal: "KILL",
        user: user(),
    };
    run_to_end(&launch).await?;
    let signal = unfinished.join(STANDBY_SIGNAL);
    fs::write(&signal, "").with_context(|| format!("cannot write {}", signal.display()))?;
    give_to_server(&[&signal])?;
    fs::rename(&unfinished, data).context("cannot move the new data folder")
}

/// Writes the password as libpq reads it, for those that must not have it among their arguments.
pub(super) fn write_password_file(cluster: &Cluster) -> Result<()> {
    let path = password_file(&cluster.home);
    secret::write_private(&path, &format!("127.0.0.1:*:*:{SUPERUSER}:{}\n", cluster.password))?;
    give_to_server(&[&path])
}

pub(super) fn password_file(home: &Path) -> PathBuf {
    home.join("pgpass")
}

fn major_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Runs `initdb` beside the final place and moves the result there, so that an interrupted one is never taken for
/// whole.
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
    fs::rename(&unfinished, home.join(DATA[0])).context("cannot move the new data folder")?;
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
    let status = timeout(MADE_WITHIN, ended).await.with_context(|| format!("{} takes too long", launch.name))?;
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
