//! A category: a node of the tree, which has a name unique among its living siblings.
//!
//! The tree stays a tree of at most eight levels, and nothing living is ever below something
//! retired. What lies around the category is read under the tree's lock and handed in.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemas::event::category::CategoryPath;
use schemas::event::{
    CategoryCreated, CategoryMoved, CategoryRef, CategoryRenamed, CategoryRetired, Event,
    StreamKind,
};
use schemas::id::CategoryId;

use super::aggregate::Aggregate;
use super::refusal::{RefusalKind, Refuse};
use super::text::CategoryName;

/// Levels of the tree; a root is on the first.
pub const MAX_DEPTH: usize = 8;

/// The fold of a category's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    pub id: CategoryId,
    pub name: String,
    pub parent_id: Option<CategoryId>,
    pub retired: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryCommand {
    Create {
        id: CategoryId,
        name: CategoryName,
        parent_id: Option<CategoryId>,
    },
    Change(ChangeCategory),
    Retire,
}

/// None leaves a field alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeCategory {
    pub name: Option<CategoryName>,
    /// `Some(None)` makes the category a root.
    pub parent_id: Option<Option<CategoryId>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryRefusal {
    NoSuchCategory,
    NameTaken,
    InUse,
    /// The category that the command is about.
    Retired(CategoryId),
    /// The new parent is the category or below it.
    Cycle,
    TooDeep,
    /// The wanted parent.
    Place(PlaceRefusal),
}

/// Why nothing can be put into a category that a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceRefusal {
    Unknown(CategoryId),
    Retired(CategoryId),
}

/// A category that a command names, as the tree has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From the root down to the category itself.
    pub path: CategoryPath,
    pub retired: bool,
}

/// The categories that a command names, those that exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<CategoryId, Place>);

/// What lies around the category that a command is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Holds the wanted parent, where it exists.
    pub places: Places,
    /// Another living category has the wanted name below the wanted parent.
    pub name_taken: bool,
    /// Levels of the category's own subtree: 1 for a leaf.
    pub height: usize,
    pub has_products: bool,
    /// Living ones.
    pub has_children: bool,
}

impl FromIterator<(CategoryId, Place)> for Places {
    fn from_iter<T: IntoIterator<Item = (CategoryId, Place)>>(places: T) -> Self {
        Self(places.into_iter().collect())
    }
}

impl Places {
    pub fn get(&self, id: CategoryId) -> Option<&Place> {
        self.0.get(&id)
    }

    /// The path of a category that something may be put into.
    pub fn living(&self, id: CategoryId) -> Result<&CategoryPath, PlaceRefusal> {
        match self.0.get(&id) {
            None => Err(PlaceRefusal::Unknown(id)),
            Some(place) if place.retired => Err(PlaceRefusal::Retired(id)),
            Some(place) => Ok(&place.path),
        }
    }

    /// The path of the parent that is wanted; empty for a root.
    fn below(&self, parent_id: Option<CategoryId>) -> Result<CategoryPath, PlaceRefusal> {
        parent_id.map_or(Ok(Vec::new()), |id| self.living(id).cloned())
    }
}

impl Refuse for CategoryRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchCategory => RefusalKind::NotFound,
            Self::NameTaken
            | Self::InUse
            | Self::Retired(_)
            | Self::Cycle
            | Self::TooDeep
            | Self::Place(_) => RefusalKind::Rule,
        }
    }
}

impl From<PlaceRefusal> for CategoryRefusal {
    fn from(refusal: PlaceRefusal) -> Self {
        Self::Place(refusal)
    }
}

impl Aggregate for Category {
    type Id = CategoryId;
    type Command = CategoryCommand;
    type Refusal = CategoryRefusal;
    type Context = Surroundings;

    const STREAM: StreamKind = StreamKind::Category;

    fn id(&self) -> CategoryId {
        self.id
    }

    fn command_name(command: &CategoryCommand) -> &'static str {
        match command {
            CategoryCommand::Create { .. } => "create_category",
            CategoryCommand::Change(_) => "change_category",
            CategoryCommand::Retire => "retire_category",
        }
    }

    fn creates(command: &CategoryCommand) -> bool {
        matches!(command, CategoryCommand::Create { .. })
    }

    fn decide(
        state: Option<&Self>,
        command: &CategoryCommand,
        around: &Surroundings,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, CategoryRefusal> {
        match (state, command) {
            (
                None,
                CategoryCommand::Create {
                    id,
                    name,
                    parent_id,
                },
            ) => create(*id, name, *parent_id, around, at),
            (Some(category), CategoryCommand::Change(wish)) => change(category, wish, around, at),
            (Some(category), CategoryCommand::Retire) => retire(category, around, at),
            // Ids are made for each creation, so there is nothing yet under a new one.
            (Some(_), CategoryCommand::Create { .. }) => Err(CategoryRefusal::NameTaken),
            (None, CategoryCommand::Change(_) | CategoryCommand::Retire) => {
                Err(CategoryRefusal::NoSuchCategory)
            }
        }
    }

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        if let Event::CategoryCreated(created) = event {
            return Some(Self {
                id: created.category_id,
                name: created.name.clone(),
                parent_id: created.parent_id,
                retired: false,
                created_at: created.occurred_at,
                updated_at: created.occurred_at,
            });
        }
        let mut category = state?;
        match event {
            Event::CategoryRenamed(renamed) => category.name.clone_from(&renamed.name),
            Event::CategoryMoved(moved) => category.parent_id = moved.parent_id,
            Event::CategoryRetired(_) => category.retired = true,
            _ => return Some(category),
        }
        category.updated_at = event.occurred_at();
        Some(category)
    }
}

fn create(
    id: CategoryId,
    name: &CategoryName,
    parent_id: Option<CategoryId>,
    around: &Surroundings,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, CategoryRefusal> {
    let mut path = around.places.below(parent_id)?;
    path.push(CategoryRef {
        id,
        name: name.to_string(),
    });
    if path.len() > MAX_DEPTH {
        return Err(CategoryRefusal::TooDeep);
    }
    if around.name_taken {
        return Err(CategoryRefusal::NameTaken);
    }
    let name = name.to_string();
    let created = CategoryCreated {
        category_id: id,
        name,
        parent_id,
        path,
        occurred_at: at,
    };
    Ok(vec![created.into()])
}

fn change(
    category: &Category,
    wish: &ChangeCategory,
    around: &Surroundings,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, CategoryRefusal> {
    if category.retired {
        return Err(CategoryRefusal::Retired(category.id));
    }
    let (category_id, occurred_at) = (category.id, at);
    let is_new = |parent_id: &Option<CategoryId>| *parent_id != category.parent_id;
    let moved = match wish.parent_id.filter(is_new) {
        None => None,
        Some(parent_id) => {
            let ancestors = ancestors_after(category_id, parent_id, around)?;
            let moved = CategoryMoved {
                category_id,
                parent_id,
                ancestors,
                occurred_at,
            };
            Some(Event::from(moved))
        }
    };
    let name = wish
        .name
        .as_ref()
        .filter(|name| name.as_str() != category.name);
    let renamed = name.map(|name| {
        let name = name.to_string();
        Event::from(CategoryRenamed {
            category_id,
            name,
            occurred_at,
        })
    });
    let events: Vec<Event> = moved.into_iter().chain(renamed).collect();
    if !events.is_empty() && around.name_taken {
        return Err(CategoryRefusal::NameTaken);
    }
    Ok(events)
}

/// The path down to the wanted parent, where the category with all below it fits there.
fn ancestors_after(
    category_id: CategoryId,
    parent_id: Option<CategoryId>,
    around: &Surroundings,
) -> Result<CategoryPath, CategoryRefusal> {
    let ancestors = around.places.below(parent_id)?;
    if ancestors.iter().any(|step| step.id == category_id) {
        return Err(CategoryRefusal::Cycle);
    }
    if ancestors.len() + around.height > MAX_DEPTH {
        return Err(CategoryRefusal::TooDeep);
    }
    Ok(ancestors)
}

fn retire(
    category: &Category,
    around: &Surroundings,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, CategoryRefusal> {
    if category.retired {
        return Ok(Vec::new());
    }
    if around.has_products || around.has_children {
        return Err(CategoryRefusal::InUse);
    }
    Ok(vec![
        CategoryRetired {
            category_id: category.id,
            occurred_at: at,
        }
        .into(),
    ])
}

#[cfg(test)]
mod tests;
