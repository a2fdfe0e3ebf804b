//! Random secrets of a data folder.

use std::{fmt::Write, fs::File, io::Read};

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
