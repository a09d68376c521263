//! The lines of a body that comes in pieces of any size.
//!
//! Pure. Never holds more than one line and a piece: what is too long is dropped as it comes, and
//! answered where it ends.

use bytes::{Bytes, BytesMut};

use crate::config::MAX_LINE_BYTES;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1; lines that hold nothing are counted too.
    pub number: u64,
    pub content: Result<Bytes, TooLong>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line must have at most {MAX_LINE_BYTES} bytes")]
pub struct TooLong;

#[derive(Debug, Default)]
pub struct Lines {
    /// What has come of the current line, and all after it.
    buffer: BytesMut,
    /// This much of the buffer holds no line end.
    searched: usize,
    /// The current line was too long already.
    skipping: bool,
    finished: u64,
}

impl Lines {
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole line, where it has come.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let Some(found) = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            else {
                self.wait_for_more();
                return None;
            };
            let mut content = self.buffer.split_to(self.searched + found + 1);
            content.truncate(content.len() - 1);
            if let Some(line) = self.end_line(content) {
                return Some(line);
            }
        }
    }

    /// The last line, where the body did not end in a line end.
    pub fn last_line(&mut self) -> Option<Line> {
        let content = self.buffer.split();
        self.end_line(content)
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn wait_for_more(&mut self) {
        self.skipping |= self.buffer.len() > MAX_LINE_BYTES + BYTE_ORDER_MARK.len();
        if self.skipping {
            self.buffer.clear();
        }
        self.searched = self.buffer.len();
    }

    fn end_line(&mut self, mut content: BytesMut) -> Option<Line> {
        self.searched = 0;
        self.finished += 1;
        let number = self.finished;
        if number == 1 && content.starts_with(BYTE_ORDER_MARK) {
            let _ = content.split_to(BYTE_ORDER_MARK.len());
        }
        let skipped = std::mem::take(&mut self.skipping);
        if skipped || content.len() > MAX_LINE_BYTES {
            return Some(Line {
                number,
                content: Err(TooLong),
            });
        }
        let blank = content.iter().all(u8::is_ascii_whitespace);
        (!blank).then(|| Line {
            number,
            content: Ok(content.freeze()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(u64, Result<Vec<u8>, TooLong>)> {
        let mut lines = Lines::default();
        let mut read = Vec::new();
        for piece in pieces {
            lines.push(piece);
            read.extend(std::iter::from_fn(|| lines.next_line()));
        }
        read.extend(lines.last_line());
        read.into_iter()
            .map(|line| (line.number, line.content.map(|bytes| bytes.to_vec())))
            .collect()
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(
            read(&[b"a\nb"]),
            [(1, Ok(b"a".to_vec())), (2, Ok(b"b".to_vec()))]
        );
    }

    #[test]
    fn lines_that_hold_nothing_are_counted_and_not_read() {
        let marked = [BYTE_ORDER_MARK, b"a\n\r\n \nb\n\n"].concat();
        assert_eq!(
            read(&[&marked]),
            [(1, Ok(b"a".to_vec())), (4, Ok(b"b".to_vec()))]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_answered_once_and_not_kept() {
        let mut lines = Lines::default();
        lines.push(b"a\n");
        assert_eq!(lines.next_line().map(|line| line.number), Some(1));
        for _ in 0..100 {
            lines.push(&[b'x'; MAX_LINE_BYTES]);
            assert_eq!(lines.next_line(), None);
            assert!(lines.buffer.len() <= MAX_LINE_BYTES);
        }
        lines.push(b"\nb\n");
        assert_eq!(
            lines.next_line(),
            Some(Line {
                number: 2,
                content: Err(TooLong)
            })
        );
        assert_eq!(lines.next_line().map(|line| line.number), Some(3));
    }

    #[test]
    fn the_longest_line_is_taken() {
        let longest = vec![b'x'; MAX_LINE_BYTES];
        assert!(read(&[&longest])[0].1.is_ok());
        let one_more = vec![b'x'; MAX_LINE_BYTES + 1];
        assert!(read(&[&one_more])[0].1.is_err());
    }

    proptest! {
        #[test]
        fn how_a_body_is_cut_into_pieces_says_nothing(
            body in "[ab\n]{0,60}", cuts in prop::collection::vec(0..60usize, 0..8)
        ) {
            let mut pieces = vec![body.as_bytes()];
            for cut in cuts {
                let last = pieces.pop().unwrap();
                let (left, right) = last.split_at(cut.min(last.len()));
                pieces.extend([left, right]);
            }
            prop_assert_eq!(read(&pieces), read(&[body.as_bytes()]));
        }
    }
}
