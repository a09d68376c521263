//! A file of lines, gzipped or not: counted, sent in pieces, read line by line.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures::Stream;
use tokio::sync::mpsc;

const PIECE_BYTES: usize = 64 * 1024;
/// How many pieces may wait to be sent.
const PIECES: usize = 8;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Of a longer line, which is refused anyway, the rest is passed over.
const LINE_BYTES: usize = 64 * 1024;

type Piece = std::io::Result<Bytes>;

/// The content, unpacked where the file is gzipped, whatever it is called.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut file = BufReader::with_capacity(PIECE_BYTES, file);
    let head = file.fill_buf();
    let head = head.with_context(|| format!("reading {}", path.display()))?;
    Ok(if head.starts_with(&GZIP) {
        let unpacked = MultiGzDecoder::new(file);
        Box::new(BufReader::with_capacity(PIECE_BYTES, unpacked))
    } else {
        Box::new(file)
    })
}

/// How many lines hold something; fails where the file cannot be read to its end.
pub fn count_lines(path: &Path) -> Result<u64> {
    let mut lines = Lines::new(open(path)?);
    let mut holding = 0;
    while let Some(line) = lines.next_line().with_context(|| unreadable(path))? {
        holding += u64::from(!line.trim_ascii().is_empty());
    }
    Ok(holding)
}

/// The content as it is read, a few pieces ahead of who takes them.
pub fn pieces(path: PathBuf) -> impl Stream<Item = Piece> {
    let (sender, mut receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&path, &sender) {
            // Nobody takes it any more where this fails.
            let _ = sender.blocking_send(Err(std::io::Error::other(error)));
        }
    });
    futures::stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn read(path: &Path, sender: &mpsc::Sender<Piece>) -> Result<()> {
    let mut content = open(path)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let limit = PIECE_BYTES as u64;
        let read = content.by_ref().take(limit).read_to_end(&mut piece);
        let is_last = read.with_context(|| unreadable(path))? == 0;
        if is_last || sender.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

fn unreadable(path: &Path) -> String {
    format!("reading {}", path.display())
}

/// The lines of a content, one in memory at a time.
pub struct Lines {
    content: Box<dyn BufRead + Send>,
    line: Vec<u8>,
}

impl Lines {
    pub fn new(content: Box<dyn BufRead + Send>) -> Self {
        Self {
            content,
            line: Vec::new(),
        }
    }

    /// The next line without its end; of a very long one, its beginning.
    pub fn next_line(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.line.clear();
        let mut is_end = true;
        loop {
            let piece = self.content.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            is_end = false;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = &piece[..end.unwrap_or(piece.len())];
            let room = LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&taken[..taken.len().min(room)]);
            let consumed = end.map_or(piece.len(), |end| end + 1);
            self.content.consume(consumed);
            if end.is_some() {
                break;
            }
        }
        Ok((!is_end).then_some(self.line.as_slice()))
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, Lines};

    fn lines(content: &'static [u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(Box::new(content));
        let mut read = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            read.push(line.to_vec());
        }
        read
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(lines(b"a\n\nb"), [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
        assert_eq!(lines(b"a\n"), [b"a".to_vec()]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let long = [vec![b'x'; 3 * LINE_BYTES], b"\nb\n".to_vec()].concat();
        let read = lines(long.leak());
        assert_eq!((read[0].len(), read[1].as_slice()), (LINE_BYTES, &b"b"[..]));
    }
}
