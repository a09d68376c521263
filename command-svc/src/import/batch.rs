//! Lines that are imported together, in one transaction.
//!
//! Pure. A batch holds a sku once: what a file says of it twice goes into two batches, one after
//! the other. Two batches may run at once where neither depends on the other.

use std::collections::{HashSet, VecDeque};

use schemas::id::ProductId;
use schemas::problem::Problem;

use super::heap;
use super::lines::Line;
use super::product_line::{self, ProductLine};
use super::tree::{NameTree, Node};
use crate::config::{MAX_BATCH_BYTES, MAX_KNOWN_PATHS, MAX_QUEUED_BYTES, MAX_QUEUED_LINES};
use crate::domain::text::SkuKey;

/// A line as it was read.
#[derive(Debug)]
pub struct ReadLine {
    number: u64,
    heap_bytes: usize,
    parsed: Result<Box<ProductLine>, Box<Problem>>,
}

impl ReadLine {
    pub fn new(line: &Line) -> Self {
        let parsed = product_line::read(line).map(Box::new);
        let heap_bytes = match &parsed {
            Ok(line) => heap::of_product_line(line),
            Err(problem) => heap::of_problem(problem),
        };
        Self {
            number: line.number,
            heap_bytes: size_of::<Self>() + heap_bytes,
            parsed,
        }
    }
}

/// A product to be there; its id, should it have to be made, is the same in every try.
#[derive(Debug)]
pub struct Entry {
    pub number: u64,
    pub id: ProductId,
    pub line: Box<ProductLine>,
    /// Its categories, in the batch's tree.
    pub categories: Vec<Node>,
}

#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of lines.
    pub entries: Vec<Entry>,
    /// Lines that could not be read.
    pub refused: Vec<(u64, Problem)>,
    pub tree: NameTree,
}

/// What a running batch may change.
#[derive(Debug, Default)]
pub struct Footprint {
    skus: HashSet<SkuKey>,
    /// Categories that it may be making.
    paths: HashSet<String>,
}

/// Lines that wait for a batch.
#[derive(Debug, Default)]
pub struct Queue {
    lines: VecDeque<ReadLine>,
    heap_bytes: usize,
}

/// Categories that a batch of this import has found or made: they are not made again.
#[derive(Debug, Default)]
pub struct KnownPaths(HashSet<String>);

impl Queue {
    pub fn push(&mut self, line: ReadLine) {
        self.heap_bytes += line.heap_bytes;
        self.lines.push_back(line);
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// False where no more lines are to wait.
    pub fn has_room(&self) -> bool {
        self.heap_bytes < MAX_QUEUED_BYTES && self.lines.len() < MAX_QUEUED_LINES
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// True where more lines would not make the next batch larger.
    pub fn is_ripe(&self, size: usize) -> bool {
        self.lines.len() >= size || self.heap_bytes >= MAX_BATCH_BYTES
    }

    /// Takes the next lines as a batch: at most `size` of them, and no sku twice.
    pub fn take(&mut self, size: usize, mut new_id: impl FnMut() -> ProductId) -> Batch {
        let mut batch = Batch::default();
        let mut skus = HashSet::new();
        let (mut lines, mut heap_bytes) = (0, 0);
        while lines < size
            && heap_bytes < MAX_BATCH_BYTES
            && let Some(line) = self.lines.pop_front_if(|line| match &line.parsed {
                Ok(line) => skus.insert(line.sku_key.clone()),
                Err(_) => true,
            })
        {
            lines += 1;
            heap_bytes += line.heap_bytes;
            batch.add(line, &mut new_id);
        }
        self.heap_bytes -= heap_bytes;
        batch
    }
}

impl Batch {
    fn add(&mut self, line: ReadLine, new_id: &mut impl FnMut() -> ProductId) {
        let number = line.number;
        match line.parsed {
            Ok(line) => {
                let categories = line
                    .paths
                    .iter()
                    .flatten()
                    .filter_map(|path| self.tree.add(path))
                    .collect();
                self.entries.push(Entry {
                    number,
                    id: new_id(),
                    line,
                    categories,
                });
            }
            Err(problem) => self.refused.push((number, *problem)),
        }
    }

    /// Two batches of half the lines each; none of one line.
    pub fn split(self) -> Result<(Self, Self), Self> {
        if self.entries.len() < 2 {
            return Err(self);
        }
        let Self {
            mut entries,
            refused,
            ..
        } = self;
        let later = entries.split_off(entries.len() / 2);
        let again = |entries: Vec<Entry>, refused| {
            let mut half = Self {
                refused,
                ..Self::default()
            };
            for entry in entries {
                let paths = entry.line.paths.iter().flatten();
                let categories = paths.filter_map(|path| half.tree.add(path)).collect();
                half.entries.push(Entry {
                    categories,
                    ..entry
                });
            }
            half
        };
        Ok((again(entries, refused), again(later, Vec::new())))
    }

    pub fn footprint(&self, known: &KnownPaths) -> Footprint {
        let paths = (0..self.tree.nodes().len()).map(|node| self.tree.path_text(node));
        Footprint {
            skus: self
                .entries
                .iter()
                .map(|entry| entry.line.sku_key.clone())
                .collect(),
            paths: paths.filter(|path| !known.0.contains(path)).collect(),
        }
    }
}

impl Footprint {
    /// True where one of both may decide something of the other.
    pub fn touches(&self, other: &Self) -> bool {
        !self.skus.is_disjoint(&other.skus) || !self.paths.is_disjoint(&other.paths)
    }
}

impl KnownPaths {
    /// To be called once the batch is through.
    pub fn learn(&mut self, footprint: Footprint) {
        if self.0.len() + footprint.paths.len() > MAX_KNOWN_PATHS {
            self.0.clear();
        }
        self.0.extend(footprint.paths);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn queue(lines: &[(&str, &str)]) -> Queue {
        let mut queue = Queue::default();
        for (number, (sku, category)) in (1..).zip(lines) {
            let content = json!({
                "sku": sku, "name": "Lamp", "price": {"amount": 1, "currency": "EUR"},
                "categories": [category]
            });
            let line = Line {
                number,
                content: Ok(Bytes::from(content.to_string())),
            };
            queue.push(ReadLine::new(&line));
        }
        queue
    }

    fn take(queue: &mut Queue, size: usize) -> Batch {
        queue.take(size, || ProductId(Uuid::nil()))
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn a_sku_is_in_a_batch_once() {
        let mut queue = queue(&[("a", ""), ("b", ""), ("A", ""), ("c", "")]);
        assert_eq!(numbers(&take(&mut queue, 10)), [1, 2]);
        assert_eq!(numbers(&take(&mut queue, 10)), [3, 4]);
        assert_eq!((queue.is_empty(), queue.heap_bytes), (true, 0));
    }

    #[test]
    fn a_batch_has_a_size() {
        let mut queue = queue(&[("a", ""), ("b", ""), ("c", "")]);
        assert!(queue.is_ripe(3) && !queue.is_ripe(4));
        assert_eq!(numbers(&take(&mut queue, 2)), [1, 2]);
    }

    #[test]
    fn lines_wait_up_to_a_number_and_up_to_what_they_take() {
        let short = Line {
            number: 1,
            content: Ok(Bytes::from_static(b"no")),
        };
        let content = json!({"sku": "A", "description": "x".repeat(20_000)});
        let long = Line {
            number: 1,
            content: Ok(Bytes::from(content.to_string())),
        };
        for (line, most) in [(short, MAX_QUEUED_LINES), (long, 250)] {
            let mut queue = Queue::default();
            while queue.has_room() {
                queue.push(ReadLine::new(&line));
            }
            assert!(queue.lines.len() <= most, "{}", queue.lines.len());
            assert!(queue.heap_bytes < MAX_QUEUED_BYTES + 30_000);
        }
    }

    #[test]
    fn a_line_that_could_not_be_read_counts_and_is_kept() {
        let mut queue = queue(&[("a", "")]);
        let line = Line {
            number: 2,
            content: Ok(Bytes::from_static(b"no")),
        };
        queue.push(ReadLine::new(&line));
        let refused = take(&mut queue, 10).refused;
        assert_eq!((refused.len(), refused[0].0), (1, 2));
    }

    #[test]
    fn batches_with_a_sku_in_common_touch() {
        let known = KnownPaths::default();
        let [first, second, third] =
            [[("a", "")], [("a", "")], [("b", "")]].map(|lines| take(&mut queue(&lines), 1));
        let [first, second, third] = [first, second, third].map(|batch| batch.footprint(&known));
        assert!(first.touches(&second));
        assert!(!first.touches(&third));
    }

    #[test]
    fn batches_that_may_make_the_same_category_touch_until_it_is_known() {
        let mut known = KnownPaths::default();
        let [first, second] =
            [[("a", "A > X")], [("b", "A > Y")]].map(|lines| take(&mut queue(&lines), 1));
        assert!(first.footprint(&known).touches(&second.footprint(&known)));
        known.learn(take(&mut queue(&[("c", "A")]), 1).footprint(&known));
        assert!(!first.footprint(&known).touches(&second.footprint(&known)));
    }

    #[test]
    fn half_of_a_batch_is_a_batch() {
        let whole = take(&mut queue(&[("a", "A > X"), ("b", "A > Y"), ("c", "B")]), 3);
        let (left, right) = whole.split().unwrap();
        assert_eq!((numbers(&left), numbers(&right)), (vec![1], vec![2, 3]));
        assert_eq!(right.tree.path_text(right.entries[1].categories[0]), "B");
        assert!(left.split().is_err());
    }
}
