//! Documents as they were last written, so that most events need no read. Bounded by bytes; the
//! least recently used leave first.
//!
//! Only what this process knows to be in Elasticsearch is in here: a document answered 409, and all
//! documents of a lane that comes or goes, leave.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::lane::Lane;
use schemas::view::Document;
use uuid::Uuid;

use crate::config::MIN_CACHE_BYTES;

/// A document, and whether Elasticsearch acknowledged it to this process.
#[derive(Debug, Clone)]
pub struct Cached {
    pub document: Document,
    pub confirmed: bool,
    /// Its length as JSON.
    pub bytes: usize,
}

#[derive(Debug)]
struct Entry {
    cached: Cached,
    used: u64,
}

/// What the caches of all builds take together. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct CacheBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    documents: AtomicUsize,
    bytes: AtomicUsize,
    max_bytes: usize,
}

impl CacheBudget {
    pub fn new(max_bytes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                documents: AtomicUsize::new(0),
                bytes: AtomicUsize::new(0),
                max_bytes,
            }),
        }
    }

    /// Documents in all caches, and what they take as JSON.
    pub fn taken(&self) -> (usize, usize) {
        let Shared {
            documents, bytes, ..
        } = &*self.shared;
        (
            documents.load(Ordering::Relaxed),
            bytes.load(Ordering::Relaxed),
        )
    }

    fn add(&self, bytes: usize) {
        self.shared.documents.fetch_add(1, Ordering::Relaxed);
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, documents: usize, bytes: usize) {
        self.shared
            .documents
            .fetch_sub(documents, Ordering::Relaxed);
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_exceeded(&self) -> bool {
        self.shared.bytes.load(Ordering::Relaxed) > self.shared.max_bytes
    }
}

/// The documents of one build, within what all builds may take.
#[derive(Debug)]
pub struct DocumentCache {
    entries: HashMap<Uuid, Entry>,
    by_use: BTreeMap<u64, Uuid>,
    bytes: usize,
    uses: u64,
    budget: CacheBudget,
}

impl DocumentCache {
    pub fn new(budget: CacheBudget) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            bytes: 0,
            uses: 0,
            budget,
        }
    }

    /// Takes a document out: whoever changes it puts it back once that is written.
    pub fn take(&mut self, id: Uuid) -> Option<Cached> {
        let entry = self.entries.remove(&id)?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.cached.bytes;
        self.budget.give_back(1, entry.cached.bytes);
        Some(entry.cached)
    }

    pub fn put(&mut self, cached: Cached) {
        let id = cached.document.id();
        self.take(id);
        self.uses += 1;
        self.bytes += cached.bytes;
        self.budget.add(cached.bytes);
        self.by_use.insert(self.uses, id);
        let entry = Entry {
            cached,
            used: self.uses,
        };
        self.entries.insert(id, entry);
        while self.budget.is_exceeded() && self.bytes > MIN_CACHE_BYTES {
            let Some((_, id)) = self.by_use.first_key_value() else {
                return;
            };
            let id = *id;
            self.take(id);
        }
    }

    /// Drops the documents of lanes that do not satisfy this.
    pub fn retain(&mut self, keep: impl Fn(Lane) -> bool) {
        for id in self.ids(|document| !keep(document.lane())) {
            self.take(id);
        }
    }

    /// The ids of the documents that satisfy this.
    pub fn ids(&self, is_meant: impl Fn(&Document) -> bool) -> Vec<Uuid> {
        self.entries
            .iter()
            .filter(|(_, entry)| is_meant(&entry.cached.document))
            .map(|(id, _)| *id)
            .collect()
    }

    pub fn clear(&mut self) {
        self.budget.give_back(self.entries.len(), self.bytes);
        self.entries.clear();
        self.by_use.clear();
        self.bytes = 0;
    }
}

impl Drop for DocumentCache {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use schemas::id::CategoryId;
    use schemas::view::CategoryDocument;

    use super::*;

    const LARGE: usize = MIN_CACHE_BYTES;

    fn document(id: u128) -> Cached {
        let category_id = CategoryId(Uuid::from_u128(id));
        let document = CategoryDocument {
            category_id,
            lane: Lane::of(category_id),
            seq: 1,
            stream_version: 1,
            name: String::new(),
            parent_id: None,
            path: Vec::new(),
            path_ids: Vec::new(),
            depth: 0,
            removed: false,
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        Cached {
            document: document.into(),
            confirmed: true,
            bytes: LARGE,
        }
    }

    #[test]
    fn the_least_recently_used_documents_leave_first() {
        let budget = CacheBudget::new(2 * LARGE);
        let mut cache = DocumentCache::new(budget.clone());
        cache.put(document(1));
        cache.put(document(2));
        let used = cache.take(Uuid::from_u128(1)).unwrap();
        cache.put(used);
        cache.put(document(3));
        assert!(cache.take(Uuid::from_u128(2)).is_none());
        assert!(cache.take(Uuid::from_u128(1)).is_some());
        assert_eq!(budget.taken(), (1, LARGE));
    }

    #[test]
    fn builds_share_a_budget_and_give_back_what_they_had() {
        let budget = CacheBudget::new(2 * LARGE);
        let mut large = DocumentCache::new(budget.clone());
        let mut small = DocumentCache::new(budget.clone());
        large.put(document(1));
        large.put(document(2));
        small.put(document(3));
        assert!(
            small.take(Uuid::from_u128(3)).is_some(),
            "the least that a build keeps"
        );
        drop(large);
        assert_eq!(budget.taken(), (0, 0));
    }

    #[test]
    fn the_documents_of_a_lane_leave_with_it() {
        let mut cache = DocumentCache::new(CacheBudget::new(100 * LARGE));
        for id in 0..64 {
            cache.put(document(id));
        }
        let lane = Lane::of(Uuid::from_u128(5));
        cache.retain(|of| of != lane);
        assert!(cache.take(Uuid::from_u128(5)).is_none());
        assert!(!cache.ids(|_| true).is_empty());
    }
}
