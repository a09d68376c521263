//! Where the services of a world write their logs: kept when a story fails, since they tell why.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use uuid::Uuid;

/// A folder of this world's own below the system's folder for temporary files.
pub fn folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir()
        .join("tidemark-e2e")
        .join(Uuid::now_v7().to_string());
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

pub fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}
