//! The body of an import, line by line: pieces as they come, decompressed in slices.
//!
//! Pure. Holds a piece, a slice of what it makes, and a line: a body that grows a thousandfold when
//! it is decompressed takes no more than any other.

use std::io::{Error, ErrorKind, Write};

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;

use super::lines::{Line, Lines};
use crate::config::SLICE_BYTES;

/// How the body is coded. A gzipped one may have several members, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
}

/// What became of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Line(Line),
    /// There is more to do, and others may go first.
    Working,
    /// Another piece is needed, or to know that there is none.
    Starved,
    Through,
}

#[derive(Debug)]
pub struct Body {
    /// What is left of the current piece.
    piece: Bytes,
    /// None where it is not compressed.
    decompressor: Option<Box<MultiGzDecoder<Vec<u8>>>>,
    is_empty: bool,
    /// The rest is not needed any more.
    is_discarded: bool,
    lines: Lines,
    /// Something came to the lines since there was none.
    may_have_line: bool,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    ToCome,
    /// There are no more pieces.
    Known,
    /// Everything is among the lines.
    Decompressed,
    Reached,
}

impl Body {
    pub fn new(coding: Coding) -> Self {
        let decompressor = || Box::new(MultiGzDecoder::new(Vec::new()));
        Self {
            piece: Bytes::new(),
            decompressor: (coding == Coding::Gzip).then(decompressor),
            is_empty: true,
            is_discarded: false,
            lines: Lines::default(),
            may_have_line: false,
            end: End::ToCome,
        }
    }

    /// To be called where the body is starved.
    pub fn push(&mut self, piece: Bytes) {
        self.is_empty &= piece.is_empty();
        if !self.is_discarded {
            self.piece = piece;
        }
    }

    /// There are no more pieces.
    pub fn end(&mut self) {
        self.end = if self.is_discarded {
            End::Reached
        } else {
            End::Known
        };
    }

    /// Drops what was not read, and all that is to come.
    pub fn discard(&mut self) {
        self.is_discarded = true;
        self.piece = Bytes::new();
        self.decompressor = None;
        self.lines = Lines::default();
        self.may_have_line = false;
        if self.end != End::ToCome {
            self.end = End::Reached;
        }
    }

    pub fn is_discarded(&self) -> bool {
        self.is_discarded
    }

    pub fn is_through(&self) -> bool {
        self.end == End::Reached
    }

    /// True where only another piece helps.
    pub fn is_starved(&self) -> bool {
        self.end == End::ToCome && self.piece.is_empty() && !self.may_have_line
    }

    /// Reads on by a bounded amount of work.
    pub fn step(&mut self) -> Result<Step, Error> {
        if let Some(line) = self.lines.next_line() {
            return Ok(Step::Line(line));
        }
        self.may_have_line = false;
        if !self.piece.is_empty() {
            self.read_slice()?;
            return Ok(Step::Working);
        }
        match self.end {
            End::ToCome => Ok(Step::Starved),
            End::Known => {
                self.end = End::Decompressed;
                self.finish()?;
                Ok(Step::Working)
            }
            End::Decompressed => {
                self.end = End::Reached;
                Ok(self.lines.last_line().map_or(Step::Through, Step::Line))
            }
            End::Reached => Ok(Step::Through),
        }
    }

    fn read_slice(&mut self) -> Result<(), Error> {
        self.may_have_line = true;
        let slice = &self.piece[..self.piece.len().min(SLICE_BYTES)];
        let taken = match &mut self.decompressor {
            None => {
                self.lines.push(slice);
                slice.len()
            }
            Some(decompressor) => {
                let taken = decompressor.write(slice)?;
                if taken == 0 {
                    return Err(ErrorKind::InvalidData.into());
                }
                drain(decompressor, &mut self.lines);
                taken
            }
        };
        self.piece.advance(taken);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        if let Some(mut decompressor) = self.decompressor.take()
            && !self.is_empty
        {
            decompressor.try_finish()?;
            drain(&mut decompressor, &mut self.lines);
        }
        Ok(())
    }
}

fn drain(decompressor: &mut MultiGzDecoder<Vec<u8>>, lines: &mut Lines) {
    let made = decompressor.get_mut();
    lines.push(made);
    made.clear();
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(coding: Coding, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
        let mut body = Body::new(coding);
        let mut pieces = pieces.iter();
        let mut lines = Vec::new();
        loop {
            match body.step()? {
                Step::Line(line) => lines.push(line.content.unwrap().to_vec()),
                Step::Working => {}
                Step::Starved => match pieces.next() {
                    Some(piece) => body.push(Bytes::copy_from_slice(piece)),
                    None => body.end(),
                },
                Step::Through => return Ok(lines),
            }
        }
    }

    #[test]
    fn members_that_follow_each_other_are_one_body() {
        let body = [gzip(b"a\nb"), gzip(b""), gzip(b"c\nd\n")].concat();
        assert_eq!(
            read(Coding::Gzip, &[&body]).unwrap(),
            [b"a".to_vec(), b"bc".to_vec(), b"d".to_vec()]
        );
    }

    #[test]
    fn a_body_that_ends_too_early_or_is_none_is_an_error() {
        let whole = gzip(b"a\nb\n");
        assert!(read(Coding::Gzip, &[&whole[..whole.len() - 1]]).is_err());
        assert!(read(Coding::Gzip, &[b"a\nb\n"]).is_err());
        assert_eq!(read(Coding::Gzip, &[]).unwrap().len(), 0);
    }

    #[test]
    fn what_is_made_of_a_bomb_comes_in_slices() {
        let bomb = gzip(&vec![b'\n'; 64 * 1024 * 1024]);
        let mut body = Body::new(Coding::Gzip);
        body.push(Bytes::from(bomb));
        body.end();
        while !body.is_through() {
            assert!(matches!(
                body.step().unwrap(),
                Step::Working | Step::Through
            ));
            assert!(body.lines.held_bytes() <= 128 * 1024);
            let made = body
                .decompressor
                .as_mut()
                .map(|made| made.get_mut().capacity());
            assert!(made.unwrap_or_default() <= 128 * 1024);
        }
    }

    #[test]
    fn a_body_starves_once_its_lines_are_read() {
        let mut body = Body::new(Coding::Identity);
        assert!(body.is_starved());
        body.push(Bytes::from_static(b"a\nb"));
        let mut steps = 0;
        while !body.is_starved() {
            steps += usize::from(matches!(body.step().unwrap(), Step::Line(_)));
        }
        assert_eq!(steps, 1);
    }

    #[test]
    fn the_rest_of_a_body_can_be_discarded() {
        let mut body = Body::new(Coding::Identity);
        body.push(Bytes::from_static(b"a\nb\n"));
        assert!(matches!(body.step().unwrap(), Step::Working));
        body.discard();
        for _ in 0..3 {
            assert_eq!(body.step().unwrap(), Step::Starved);
            body.push(Bytes::from_static(b"c\n"));
        }
        body.end();
        assert!(body.is_through());
    }

    proptest! {
        #[test]
        fn how_a_body_is_cut_and_coded_says_nothing(
            content in "[ab\n]{0,60}", cuts in prop::collection::vec(0..90usize, 0..8)
        ) {
            let coded = gzip(content.as_bytes());
            let mut pieces = vec![&coded[..]];
            for cut in cuts {
                let last = pieces.pop().unwrap();
                let (left, right) = last.split_at(cut.min(last.len()));
                pieces.extend([left, right]);
            }
            prop_assert_eq!(
                read(Coding::Gzip, &pieces).unwrap(),
                read(Coding::Identity, &[content.as_bytes()]).unwrap()
            );
        }
    }
}
