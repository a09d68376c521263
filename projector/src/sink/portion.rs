//! How many documents one request asks for: their number is bounded, and so is about what they take.

use crate::config::{DOCUMENT_BYTES_PER_READ, FIRST_DOCUMENTS};

/// Learns from what comes. Documents of an index are about of one size.
#[derive(Debug, Default)]
pub struct Portion {
    /// Bytes of a document, of those that came last.
    average: Option<usize>,
}

impl Portion {
    /// How many documents to ask for, at most `most`.
    pub fn next(&self, most: usize) -> usize {
        let fitting = self
            .average
            .map_or(FIRST_DOCUMENTS, |average| DOCUMENT_BYTES_PER_READ / average);
        fitting.max(FIRST_DOCUMENTS).min(most)
    }

    /// Takes in the sizes of documents that came.
    pub fn came(&mut self, sizes: impl Iterator<Item = usize>) {
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
        let average = bytes.checked_div(count).map(|average| average.max(1));
        self.average = average.or(self.average);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_documents_come_by_the_hundred_and_large_ones_a_few_at_a_time() {
        let mut portion = Portion::default();
        assert_eq!(portion.next(500), FIRST_DOCUMENTS);
        portion.came([2_000, 2_200].into_iter());
        assert_eq!(portion.next(500), 500);
        portion.came(std::iter::empty());
        assert_eq!(portion.next(5), 5);
        portion.came([200_000].into_iter());
        assert_eq!(portion.next(500), DOCUMENT_BYTES_PER_READ / 200_000);
        portion.came([50_000_000].into_iter());
        assert_eq!(portion.next(500), FIRST_DOCUMENTS);
    }
}
