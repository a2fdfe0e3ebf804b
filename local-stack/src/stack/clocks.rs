//! The wall clocks of the services, each of which can be set while it runs.
//!
//! The services are the very programs that run everywhere: libfaketime stands between them and the C library. Their
//! monotonic clocks, by which they measure time-outs, go on as ever, as they do when a machine's time is set.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::plan::Planned;
use crate::programs;

/// How long it may take until a running process sees its new time, in seconds: libfaketime looks into its file no more
/// often.
const NOTICED_WITHIN_S: u8 = 1;

/// The clocks of a stack's services.
#[derive(Debug)]
pub struct Clocks {
    folder: PathBuf,
}

impl Clocks {
    /// Whether this machine can do it.
    ///
    /// # Errors
    /// When a library is missing: says which package has it.
    pub fn available() -> Result<()> {
        programs::faketime_library().map(|_| ())
    }

    pub(super) fn create(dir: &Path) -> Result<Self> {
        let folder = dir.join("clocks");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Gives each service a clock that goes right.
    pub(super) fn hand_out(&self, services: &mut [Planned]) -> Result<()> {
        let library = programs::faketime_library()?;
        for service in services {
            self.set(service.name(), 0)?;
            let clock = self.folder.join(service.name());
            let settings: [(&str, OsString); 5] = [
                ("LD_PRELOAD", library.clone().into()),
                ("FAKETIME_TIMESTAMP_FILE", clock.into()),
                ("FAKETIME_CACHE_DURATION", NOTICED_WITHIN_S.to_string().into()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
                // A killed process would leave it behind.
                ("FAKETIME_DISABLE_SHM", "1".into()),
            ];
            service.launch_mut().env.extend(settings.map(|(name, value)| (name.to_owned(), value)));
        }
        Ok(())
    }

    /// Sets the clock of the service of this name to so many seconds before or after the right time. It notices within
    /// a second.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub fn set(&self, name: &str, offset_s: i64) -> Result<()> {
        let clock = self.folder.join(name);
        // Put there in one step, so that nobody reads half of it.
        let next = self.folder.join(format!("{name}.next"));
        fs::write(&next, format!("{offset_s:+}\n")).with_context(|| format!("cannot write {}", next.display()))?;
        fs::rename(&next, &clock).with_context(|| format!("cannot write {}", clock.display()))
    }
}
