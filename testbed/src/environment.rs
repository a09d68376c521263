//! The only place that reads environment variables, and what follows from them: the folders.
//! Servers refuse to run as root, so root's folders lie where an unprivileged user can reach them.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// How the variables begin that cargo sets for the programs that it runs.
const OF_THIS_PACKAGE: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// Unpacked servers and throw-away stacks: `TIDEMARK_CACHE`, else by user.
pub fn cache_dir() -> Result<PathBuf> {
    folder(
        "TIDEMARK_CACHE",
        "/var/cache/tidemark",
        "XDG_CACHE_HOME",
        ".cache",
    )
}

/// What `tidemark up` keeps: `TIDEMARK_STATE`, else by user.
pub fn state_dir() -> Result<PathBuf> {
    folder(
        "TIDEMARK_STATE",
        "/var/lib/tidemark",
        "XDG_STATE_HOME",
        ".local/state",
    )
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The cargo that runs this process, else the one on the path. Without what cargo told this
/// process of its package: build scripts would take that for a change, and all would be built anew.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_PACKAGE.iter().any(|start| text.starts_with(start)) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Where cargo builds, if it was told.
pub fn target_dir() -> Option<PathBuf> {
    env::var_os("CARGO_TARGET_DIR").map(PathBuf::from)
}

/// `JAVA_HOME`, if set.
pub fn java_home() -> Option<PathBuf> {
    env::var_os("JAVA_HOME").map(PathBuf::from)
}

/// The home folder, if known.
pub fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from)
}

/// The search path for programs, for handing on to the servers.
pub fn path() -> OsString {
    env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}

/// Where a program of this name is on the search path.
pub fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&path())
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

fn folder(own: &str, for_root: &str, xdg: &str, below_home: &str) -> Result<PathBuf> {
    if let Some(dir) = env::var_os(own).filter(|dir| !dir.is_empty()) {
        return std::path::absolute(Path::new(&dir))
            .with_context(|| format!("{own} is not a usable path"));
    }
    if is_root() {
        return Ok(PathBuf::from(for_root));
    }
    if let Some(dir) = env::var_os(xdg).filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(dir).join("tidemark"));
    }
    let home = home().with_context(|| format!("neither {own}, {xdg} nor HOME is set"))?;
    Ok(home.join(below_home).join("tidemark"))
}
