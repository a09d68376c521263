//! The lines that an import refused, with the reason, in a file of their own.
//!
//! The lines are read again from the source, alongside the answers, so that none of those that were
//! taken has to be kept.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use schemas::rest::import::LineAnswer;
use serde_json::json;

use super::file::{Lines, open};

/// Made with the first line that is refused.
#[derive(Debug)]
pub struct RefusedLines {
    source: PathBuf,
    path: PathBuf,
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    lines: Lines,
    /// Of the line that was read last.
    number: u64,
    out: BufWriter<File>,
}

impl RefusedLines {
    /// For a file of this source's name in `folder`; one of an earlier import is removed.
    pub fn of(source: &Path, folder: &Path) -> Result<Self> {
        let name = source.file_name().context("the file has no name")?;
        let path = folder.join(format!("{}.refused.ndjson", name.to_string_lossy()));
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(Self {
            source: source.to_owned(),
            path,
            opened: None,
        })
    }

    /// Writes the line down that this answers. Answers come in the order of the lines.
    pub fn add(&mut self, answer: &LineAnswer) -> Result<()> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            empty => empty.insert(Opened::new(&self.source, &self.path)?),
        };
        let content = String::from_utf8_lossy(opened.line(answer.line)?).into_owned();
        let refused = json!({"line": answer.line, "problem": answer.problem, "content": content});
        let written = writeln!(opened.out, "{refused}");
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    /// Where the lines are, if there are any.
    pub fn finish(self) -> Result<Option<PathBuf>> {
        let Some(mut opened) = self.opened else {
            return Ok(None);
        };
        let flushed = opened.out.flush();
        flushed.with_context(|| format!("writing {}", self.path.display()))?;
        Ok(Some(self.path))
    }
}

impl Opened {
    fn new(source: &Path, path: &Path) -> Result<Self> {
        let out = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self {
            lines: Lines::new(open(source)?),
            number: 0,
            out: BufWriter::new(out),
        })
    }

    fn line(&mut self, number: u64) -> Result<&[u8]> {
        while self.number + 1 < number {
            self.lines.next_line()?;
            self.number += 1;
        }
        self.number += 1;
        let line = self.lines.next_line()?;
        line.context("the file is shorter than it was")
    }
}

#[cfg(test)]
mod tests {
    use chassis::clock;
    use schemas::rest::import::LineStatus;
    use serde_json::Value;

    use super::*;

    fn refused(line: u64) -> LineAnswer {
        LineAnswer {
            line,
            status: LineStatus::Refused,
            id: None,
            problem: None,
        }
    }

    #[test]
    fn refused_lines_are_found_again_by_their_numbers() {
        let folder = std::env::temp_dir().join(clock::new_id().to_string());
        fs::create_dir_all(&folder).unwrap();
        let source = folder.join("shop.ndjson");
        fs::write(&source, "one\n\nthree\nfour").unwrap();

        let mut lines = RefusedLines::of(&source, &folder).unwrap();
        for line in [1, 3, 4] {
            lines.add(&refused(line)).unwrap();
        }
        let path = lines.finish().unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let contents = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["content"].as_str().unwrap().to_owned()
        });
        assert_eq!(contents.collect::<Vec<_>>(), ["one", "three", "four"]);

        let nothing = RefusedLines::of(&source, &folder).unwrap();
        assert_eq!(nothing.finish().unwrap(), None);
        assert!(!path.exists(), "those of an earlier import are gone");
        fs::remove_dir_all(&folder).unwrap();
    }
}
