//! Unpacks what Maven fetched, without asking for any program beside this one.

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use anyhow::{Context, Result};
use liblzma::read::XzDecoder;
use zip::ZipArchive;

/// The jar holds one `.txz` with bin, lib and share.
pub(super) fn postgres(jar: &Path, dir: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(jar)?))?;
    let name = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .find(|name| name.ends_with(".txz"))
        .context("the jar holds no .txz")?;
    let packed = archive.by_name(&name)?;
    tar::Archive::new(XzDecoder::new(packed))
        .unpack(dir)
        .context("unpacking PostgreSQL")?;
    fs::remove_file(jar)?;
    Ok(())
}

/// The zip holds one folder, whose content becomes that of `dir`.
pub(super) fn elasticsearch(zip: &Path, dir: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(zip)?))?;
    archive.extract(dir).context("unpacking Elasticsearch")?;
    fs::remove_file(zip)?;
    let inner = fs::read_dir(dir)?
        .next()
        .context("the zip is empty")??
        .path();
    for entry in fs::read_dir(&inner)? {
        let entry = entry?;
        fs::rename(entry.path(), dir.join(entry.file_name()))?;
    }
    fs::remove_dir(inner)?;
    Ok(())
}
