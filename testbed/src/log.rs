//! The end of a log file, for telling why its process has ended.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Read from the end of a file; logs grow without a bound.
const BYTES_READ: i64 = 64 * 1024;

/// The last lines of a log, at most `most` of them. Empty where the log cannot be read.
pub fn last_lines(log: &Path, most: usize) -> Vec<String> {
    let text = last_bytes(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(most);
    lines[first..].iter().map(|&line| line.to_owned()).collect()
}

fn last_bytes(log: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    if file.metadata()?.len() > BYTES_READ.unsigned_abs() {
        file.seek(SeekFrom::End(-BYTES_READ))?;
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}
