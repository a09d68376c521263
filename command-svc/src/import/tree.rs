//! The categories that a batch names, as one tree of names; and what grows where it has gaps.
//!
//! Pure. Nodes come parents first. New categories are ordered by level and path, the same for
//! everybody, so that two imports which make the same ones wait for each other and never in a ring.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use schemas::event::category::CategoryPath;
use schemas::event::{CategoryRef, Event};
use schemas::id::CategoryId;

use super::product_line::NamePath;
use crate::domain::Aggregate;
use crate::domain::category::{
    Category, CategoryCommand, CategoryRefusal, Place, Places, Surroundings,
};
use crate::domain::text::{CategoryName, NameKey};

/// An index into `NameTree::nodes`.
pub type Node = usize;

#[derive(Debug, Default)]
pub struct NameTree {
    nodes: Vec<Named>,
    by_name: HashMap<(Option<Node>, NameKey), Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub parent: Option<Node>,
    /// As it was written first.
    pub name: CategoryName,
    pub key: NameKey,
}

/// The tree with an id at each node.
#[derive(Debug, Default)]
pub struct Grown {
    pub ids: Vec<CategoryId>,
    pub places: Places,
    /// That make the new categories, in the order in which these are to be inserted.
    pub events: Vec<Event>,
}

impl NameTree {
    /// The node of a path; none of an empty one.
    pub fn add(&mut self, path: &NamePath) -> Option<Node> {
        path.iter().fold(None, |parent, name| {
            let next = self.nodes.len();
            let key = NameKey::of(name.as_str());
            let node = *self.by_name.entry((parent, key.clone())).or_insert(next);
            if node == next {
                self.nodes.push(Named {
                    parent,
                    name: name.clone(),
                    key,
                });
            }
            Some(node)
        })
    }

    pub fn nodes(&self) -> &[Named] {
        &self.nodes
    }

    /// The keys of the names down to a node, joined so that no two nodes have the same.
    pub fn path_text(&self, node: Node) -> String {
        let Named { parent, key, .. } = &self.nodes[node];
        let above = parent
            .map(|parent| self.path_text(parent) + "\n")
            .unwrap_or_default();
        above + key.as_str()
    }

    fn level(&self, node: Node) -> usize {
        1 + self.nodes[node]
            .parent
            .map_or(0, |parent| self.level(parent))
    }

    /// These nodes and all above them.
    pub fn with_ancestors(&self, nodes: impl IntoIterator<Item = Node>) -> HashSet<Node> {
        let mut wanted = HashSet::new();
        for node in nodes {
            let mut next = Some(node);
            while let Some(node) = next
                && wanted.insert(node)
            {
                next = self.nodes[node].parent;
            }
        }
        wanted
    }

    /// Gives an id to each node: that of the category found there, or of a new one, which is made
    /// where it is wanted.
    pub fn grow(
        &self,
        found: &[Option<CategoryId>],
        wanted: &HashSet<Node>,
        mut new_id: impl FnMut() -> CategoryId,
        at: DateTime<Utc>,
    ) -> Result<Grown, CategoryRefusal> {
        let ids: Vec<CategoryId> = found
            .iter()
            .map(|found| found.unwrap_or_else(&mut new_id))
            .collect();
        let paths = self.paths(&ids);
        let mut missing: Vec<Node> = (0..ids.len())
            .filter(|node| found[*node].is_none() && wanted.contains(node))
            .collect();
        missing.sort_by_cached_key(|node| (self.level(*node), self.path_text(*node)));
        let mut grown = Grown::default();
        for node in missing {
            let parent = self.nodes[node].parent;
            let parent = parent.map(|parent| (ids[parent], paths[parent].clone()));
            let event = create(ids[node], &self.nodes[node].name, parent, at)?;
            grown.events.push(event);
        }
        let places = paths.into_iter().map(|path| Place {
            path,
            retired: false,
        });
        grown.places = ids.iter().copied().zip(places).collect();
        Ok(Grown { ids, ..grown })
    }

    fn paths(&self, ids: &[CategoryId]) -> Vec<CategoryPath> {
        let mut paths: Vec<CategoryPath> = Vec::with_capacity(ids.len());
        for (Named { parent, name, .. }, id) in self.nodes.iter().zip(ids) {
            let mut path = parent
                .map(|parent| paths[parent].clone())
                .unwrap_or_default();
            path.push(CategoryRef {
                id: *id,
                name: name.to_string(),
            });
            paths.push(path);
        }
        paths
    }
}

fn create(
    id: CategoryId,
    name: &CategoryName,
    parent: Option<(CategoryId, CategoryPath)>,
    at: DateTime<Utc>,
) -> Result<Event, CategoryRefusal> {
    let parent_id = parent.as_ref().map(|(id, _)| *id);
    let places = parent.map(|(id, path)| {
        (
            id,
            Place {
                path,
                retired: false,
            },
        )
    });
    let around = Surroundings {
        places: places.into_iter().collect(),
        ..Surroundings::default()
    };
    let command = CategoryCommand::Create {
        id,
        name: name.clone(),
        parent_id,
    };
    let mut events = Category::decide(None, &command, &around, at)?;
    Ok(events.pop().expect("a creation is one event"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn path(names: &[&str]) -> NamePath {
        names
            .iter()
            .map(|name| CategoryName::parse(name).unwrap())
            .collect()
    }

    fn id(number: u128) -> CategoryId {
        CategoryId(Uuid::from_u128(number))
    }

    fn tree(paths: &[&[&str]]) -> NameTree {
        let mut tree = NameTree::default();
        for names in paths {
            tree.add(&path(names));
        }
        tree
    }

    /// What grew.
    fn created(grown: &Grown) -> Vec<Category> {
        let created = grown.events.iter();
        created
            .map(|event| Category::evolve(None, event).unwrap())
            .collect()
    }

    fn grow(tree: &NameTree, found: &[Option<CategoryId>]) -> Grown {
        let mut next = 100;
        let new_id = || {
            next += 1;
            id(next)
        };
        let all = (0..tree.nodes().len()).collect();
        tree.grow(found, &all, new_id, DateTime::UNIX_EPOCH)
            .unwrap()
    }

    #[test]
    fn paths_share_what_they_begin_with() {
        let mut tree = tree(&[&["A", "B"], &["A", "C"]]);
        assert_eq!(tree.nodes().len(), 3);
        assert_eq!(tree.add(&path(&["A", "C"])), Some(2));
        assert_eq!(tree.add(&path(&[])), None);
    }

    #[test]
    fn the_same_name_elsewhere_is_another_category() {
        let tree = tree(&[&["A", "X"], &["B", "X"]]);
        assert_ne!(tree.path_text(1), tree.path_text(3));
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let tree = tree(&[&["A", "B"]]);
        let grown = grow(&tree, &[Some(id(1)), None]);
        let created = created(&grown);
        assert_eq!(created.len(), 1);
        let (name, parent_id) = (&created[0].name, created[0].parent_id);
        assert_eq!((name.as_str(), parent_id), ("B", Some(id(1))));
        let names: Vec<_> = grown
            .places
            .living(grown.ids[1])
            .unwrap()
            .iter()
            .map(|step| &step.name)
            .collect();
        assert_eq!(names, ["A", "B"]);
    }

    #[test]
    fn what_nobody_wants_is_not_made() {
        let tree = tree(&[&["A", "B"], &["C"]]);
        let wanted = tree.with_ancestors([1]);
        assert_eq!(wanted, HashSet::from([0, 1]));
        let new_id = || id(1);
        let grown = tree.grow(&[None; 3], &wanted, new_id, DateTime::UNIX_EPOCH);
        assert_eq!(created(&grown.unwrap()).len(), 2);
    }

    #[test]
    fn new_categories_are_made_level_by_level_in_the_order_of_their_paths() {
        let tree = tree(&[&["B", "Y"], &["A", "Z"], &["B", "X"]]);
        let grown = grow(&tree, &[None; 5]);
        let names: Vec<_> = created(&grown).into_iter().map(|own| own.name).collect();
        assert_eq!(names, ["A", "B", "Z", "X", "Y"]);
    }
}
