//! Random secrets, kept in files that only their owner can read.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};

const BYTES: usize = 32;

/// 256 random bits from the kernel in hexadecimal.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0; BYTES];
    let urandom = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    urandom.context("cannot read /dev/urandom")?;
    let mut hex = String::with_capacity(2 * BYTES);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// Writes a file that only its owner can read; it appears whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let unfinished = unfinished(path);
    write_new(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The secret in the file, which is made if it is not there. Of several who make it at once all get the same one.
pub(crate) fn read_or_create(path: &Path) -> Result<String> {
    if let Ok(secret) = fs::read_to_string(path) {
        return Ok(secret);
    }
    let unfinished = unfinished(path);
    let linked = write_new(&unfinished, &random_hex()?).and_then(|()| fs::hard_link(&unfinished, path));
    // Only our own link to the content goes.
    let _ = fs::remove_file(&unfinished);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot write {}", path.display()))
        }
        _ => fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// A name beside it that no other process uses.
fn unfinished(path: &Path) -> std::path::PathBuf {
    path.with_added_extension(format!("{}.new", std::process::id()))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let secret = read_or_create(&path).unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(read_or_create(&path).unwrap(), secret);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
