//! Documents as they were last written, so that most events need no read. Bounded by bytes; the
//! least recently used leave first.
//!
//! Only what this process knows to be in Elasticsearch is in here: a document answered 409, and all
//! documents of a lane that comes or goes, leave.

use std::collections::{BTreeMap, HashMap};

use schemas::lane::Lane;
use schemas::view::{Document, View};
use uuid::Uuid;

/// A build of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    pub view: View,
    pub number: u32,
}

impl std::fmt::Display for BuildId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-b{}", self.view.name(), self.number)
    }
}

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

/// A bounded cache of documents of all builds.
#[derive(Debug)]
pub struct DocumentCache {
    entries: HashMap<(BuildId, Uuid), Entry>,
    by_use: BTreeMap<u64, (BuildId, Uuid)>,
    bytes: usize,
    max_bytes: usize,
    uses: u64,
}

impl DocumentCache {
    pub fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            bytes: 0,
            max_bytes,
            uses: 0,
        }
    }

    /// Takes a document out: whoever changes it puts it back once that is written.
    pub fn take(&mut self, build: BuildId, id: Uuid) -> Option<Cached> {
        let entry = self.entries.remove(&(build, id))?;
        self.by_use.remove(&entry.used);
        self.bytes -= entry.cached.bytes;
        Some(entry.cached)
    }

    pub fn put(&mut self, build: BuildId, cached: Cached) {
        let id = cached.document.id();
        self.take(build, id);
        self.uses += 1;
        self.bytes += cached.bytes;
        self.by_use.insert(self.uses, (build, id));
        let entry = Entry {
            cached,
            used: self.uses,
        };
        self.entries.insert((build, id), entry);
        while self.bytes > self.max_bytes {
            let Some((_, (build, id))) = self.by_use.first_key_value() else {
                return;
            };
            let (build, id) = (*build, *id);
            self.take(build, id);
        }
    }

    /// Drops what does not satisfy this.
    pub fn retain(&mut self, keep: impl Fn(BuildId, Lane) -> bool) {
        let gone: Vec<_> = self
            .entries
            .iter()
            .filter(|((build, _), entry)| !keep(*build, entry.cached.document.lane()))
            .map(|(key, _)| *key)
            .collect();
        for (build, id) in gone {
            self.take(build, id);
        }
    }

    /// The ids of a build's documents that satisfy this.
    pub fn ids(&self, build: BuildId, is_meant: impl Fn(&Document) -> bool) -> Vec<Uuid> {
        self.entries
            .iter()
            .filter(|((of, _), entry)| *of == build && is_meant(&entry.cached.document))
            .map(|((_, id), _)| *id)
            .collect()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.by_use.clear();
        self.bytes = 0;
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use schemas::id::CategoryId;
    use schemas::view::CategoryDocument;

    use super::*;

    const BUILD: BuildId = BuildId {
        view: View::Categories,
        number: 1,
    };

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
            bytes: 100,
        }
    }

    #[test]
    fn the_least_recently_used_documents_leave_first() {
        let mut cache = DocumentCache::new(250);
        cache.put(BUILD, document(1));
        cache.put(BUILD, document(2));
        let used = cache.take(BUILD, Uuid::from_u128(1)).unwrap();
        cache.put(BUILD, used);
        cache.put(BUILD, document(3));
        assert!(cache.take(BUILD, Uuid::from_u128(2)).is_none());
        assert!(cache.take(BUILD, Uuid::from_u128(1)).is_some());
        assert_eq!((cache.len(), cache.bytes()), (1, 100));
    }

    #[test]
    fn builds_do_not_see_each_others_documents() {
        let mut cache = DocumentCache::new(1_000);
        let other = BuildId { number: 2, ..BUILD };
        cache.put(BUILD, document(1));
        assert!(cache.take(other, Uuid::from_u128(1)).is_none());
        assert_eq!(cache.ids(BUILD, |_| true), [Uuid::from_u128(1)]);
    }

    #[test]
    fn the_documents_of_a_lane_leave_with_it() {
        let mut cache = DocumentCache::new(10_000);
        for id in 0..64 {
            cache.put(BUILD, document(id));
        }
        let lane = Lane::of(Uuid::from_u128(5));
        cache.retain(|_, of| of != lane);
        assert!(cache.take(BUILD, Uuid::from_u128(5)).is_none());
        assert!(!cache.is_empty());
    }
}
