//! Answers that the client has not taken yet.
//!
//! Pure: time is an argument. They are bounded by their bytes: what comes in stops while it is
//! full.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::config::{ANSWER_PIECE_BYTES, MAX_KEPT_ANSWER_BYTES};

#[derive(Debug)]
pub struct Outbox {
    pieces: VecDeque<Bytes>,
    /// The newest answers, which do not fill a piece yet.
    last: BytesMut,
    bytes: usize,
    /// When the client took something last, or could have for the first time.
    moved_at: Instant,
}

impl Outbox {
    pub fn new(now: Instant) -> Self {
        Self {
            pieces: VecDeque::new(),
            last: BytesMut::new(),
            bytes: 0,
            moved_at: now,
        }
    }

    pub fn push(&mut self, answers: &[u8], now: Instant) {
        if self.is_empty() {
            self.moved_at = now;
        }
        self.bytes += answers.len();
        self.last.extend_from_slice(answers);
        while self.last.len() >= ANSWER_PIECE_BYTES {
            let piece = self.last.split_to(ANSWER_PIECE_BYTES);
            self.pieces.push_back(piece.freeze());
        }
    }

    /// The oldest answers.
    pub fn take(&mut self, now: Instant) -> Bytes {
        self.moved_at = now;
        let piece = self.pieces.pop_front();
        let piece = piece.unwrap_or_else(|| self.last.split().freeze());
        self.bytes -= piece.len();
        piece
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= MAX_KEPT_ANSWER_BYTES
    }

    pub fn moved_at(&self) -> Instant {
        self.moved_at
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn answers_come_out_in_order_and_in_pieces() {
        let now = chassis::clock::instant();
        let mut outbox = Outbox::new(now);
        let answers: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        for some in answers.chunks(1_000) {
            outbox.push(some, now);
        }
        let mut taken = Vec::new();
        while !outbox.is_empty() {
            let piece = outbox.take(now);
            assert!(piece.len() <= ANSWER_PIECE_BYTES);
            taken.extend_from_slice(&piece);
        }
        assert_eq!(taken, answers);
    }

    #[tokio::test]
    async fn an_empty_one_is_not_stalled() {
        let start = chassis::clock::instant();
        let later = start + Duration::from_secs(60);
        let mut outbox = Outbox::new(start);
        outbox.push(b"a", later);
        assert_eq!(outbox.moved_at(), later);
        outbox.push(b"b", later + Duration::from_secs(1));
        assert_eq!(outbox.moved_at(), later, "the first still waits");
        assert!(!outbox.is_full());
        outbox.push(&vec![0; MAX_KEPT_ANSWER_BYTES], later);
        assert!(outbox.is_full());
    }
}
