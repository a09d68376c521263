//! The unprivileged user that the servers run as when root starts them; they refuse to be root.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::environment;

const NAME: &str = "nobody";

/// Whom the servers run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl ServerUser {
    /// `None` unless started by root: an ordinary user's servers run as that user.
    pub(crate) fn current() -> Result<Option<Self>> {
        if !environment::is_root() {
            return Ok(None);
        }
        let user = nix::unistd::User::from_name(NAME)
            .context("looking up the user for the servers")?
            .with_context(|| format!("root needs a user named {NAME} to run the servers as"))?;
        Ok(Some(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }))
    }
}

/// Makes a folder that the servers may write in.
pub(crate) fn create_dir_for(user: Option<ServerUser>, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    give_to(user, dir)
}

/// Hands a file or folder, not what is in it, to the servers' user.
pub(crate) fn give_to(user: Option<ServerUser>, path: &Path) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.uid), Some(user.gid))
        .with_context(|| format!("giving {} to {NAME}", path.display()))
}

/// Refuses a folder that the servers could not even enter.
pub(crate) fn check_reachable(user: Option<ServerUser>, dir: &Path) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    for ancestor in dir.ancestors() {
        let Ok(metadata) = fs::metadata(ancestor) else {
            continue;
        };
        let own = metadata.uid() == user.uid && metadata.mode() & 0o100 != 0;
        if !own && metadata.mode() & 0o001 == 0 {
            bail!(
                "{} cannot be entered by the user {NAME}, whom the servers run as: choose other \
                 folders with TIDEMARK_CACHE and TIDEMARK_STATE, or chmod o+x it",
                ancestor.display()
            );
        }
    }
    Ok(())
}

/// Lets everybody read what was unpacked, whatever the umask was.
pub(crate) fn make_readable(path: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let wanted = mode
        | if metadata.is_dir() || mode & 0o100 != 0 {
            0o555
        } else {
            0o444
        };
    if mode != wanted {
        fs::set_permissions(path, fs::Permissions::from_mode(wanted))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            make_readable(&entry?.path())?;
        }
    }
    Ok(())
}
