//! Commands of the category tree: under its lock, shared to add to it, exclusive to change it.

use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::category::CategoryPath;
use schemas::event::{CategoryRef, Event, StreamId};
use schemas::id::CategoryId;

use super::answer::{Answer, of_category};
use super::decision::Decision;
use super::expected::Expected;
use crate::domain::Aggregate;
use crate::domain::category::{Category, ChangeCategory, Command, Places, Refusal, Surroundings};
use crate::store::category::{
    Found, TreeLock, holder, insert, lock, lock_tree, places, surroundings,
};
use crate::store::log::category_stream;
use crate::store::{Changes, StoreError, Stored, Tx};

#[derive(Debug)]
pub(super) struct Loaded {
    category: Option<Stored<Category>>,
    around: Surroundings,
    /// The category itself, where it exists, and the wanted parent.
    found: Found,
    witnesses: Vec<(StreamId, u64)>,
}

pub(super) async fn load(tx: &Tx, id: CategoryId, command: &Command) -> Result<Loaded, StoreError> {
    let wish = match command {
        Command::Create { parent_id, .. } => return load_parent(tx, *parent_id).await,
        Command::Change(wish) => wish,
        Command::Retire => &ChangeCategory::default(),
    };
    let named: Vec<CategoryId> = [id].into_iter().chain(wish.parent_id.flatten()).collect();
    let ((), category, (around, witnesses), found) = try_join!(
        lock_tree(tx, TreeLock::Exclusive),
        lock(tx, id),
        surroundings(tx, id, wish),
        places(tx, &named),
    )?;
    let around = Surroundings {
        places: found.places.clone(),
        ..around
    };
    Ok(Loaded {
        category,
        around,
        found,
        witnesses,
    })
}

async fn load_parent(tx: &Tx, parent_id: Option<CategoryId>) -> Result<Loaded, StoreError> {
    let named: Vec<CategoryId> = parent_id.into_iter().collect();
    let ((), found) = try_join!(lock_tree(tx, TreeLock::Shared), places(tx, &named))?;
    let around = Surroundings {
        places: found.places.clone(),
        ..Surroundings::default()
    };
    Ok(Loaded {
        category: None,
        around,
        found,
        witnesses: Vec::new(),
    })
}

pub(super) async fn decide(
    tx: &Tx,
    loaded: Loaded,
    command: &Command,
    expected: &Expected,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    if let Command::Create { .. } = command {
        if !expected.allows_creation() {
            return Ok(Decision::unchanged(Answer::nothing_to_match(), Vec::new()));
        }
        return create(tx, loaded, command, at).await;
    }
    let Loaded {
        category,
        around,
        found,
        witnesses,
    } = loaded;
    let Some(category) = category else {
        return Ok(Decision::refused(&Refusal::NoSuchCategory, Vec::new()));
    };
    if !expected.allows(category.version) {
        let mismatch = Answer::mismatch(category.version);
        return Ok(Decision::unchanged(mismatch, Vec::new()).decided_on(found.positions));
    }
    let decision = match Category::decide(Some(&category.value), command, &around, at) {
        Err(refusal) => Decision::refused(&refusal, witnesses),
        Ok(events) => changed(category, &found.places, events),
    };
    Ok(decision.decided_on(found.positions))
}

fn changed(category: Stored<Category>, places: &Places, events: Vec<Event>) -> Decision {
    let (id, before) = (category.value.id, category.value.parent_id);
    let own_path = path_of(places, id);
    let changes = Changes::of(Some(category), events);
    let category = changes.get::<Category>(id).expect("it is held");
    let above = if category.value.parent_id == before {
        own_path
            .split_last()
            .map(|(_, above)| above.to_vec())
            .unwrap_or_default()
    } else {
        category
            .value
            .parent_id
            .map(|id| path_of(places, id))
            .unwrap_or_default()
    };
    let answer = Answer::Current {
        resource: of_category(category, path_below(above, &category.value)),
        version: category.version,
    };
    Decision {
        changes,
        ..Decision::unchanged(answer, Vec::new())
    }
}

async fn create(
    tx: &Tx,
    loaded: Loaded,
    command: &Command,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    let Loaded { around, found, .. } = loaded;
    let decision = match Category::decide(None, command, &around, at) {
        Err(refusal) => Decision::refused(&refusal, Vec::new()),
        Ok(events) => {
            let changes = Changes::of::<Category>(None, events);
            let categories = changes.created::<Category>();
            let [category] = categories[..] else {
                unreachable!("a creation makes one category");
            };
            if insert(tx, category).await? {
                let answer = created(category, &found.places);
                Decision {
                    changes,
                    ..Decision::unchanged(answer, Vec::new())
                }
            } else {
                name_taken(tx, &category.value).await?
            }
        }
    };
    Ok(decision.decided_on(found.positions))
}

fn created(category: &Stored<Category>, places: &Places) -> Answer {
    let parent_id = category.value.parent_id;
    let above = parent_id.map(|id| path_of(places, id)).unwrap_or_default();
    let resource = of_category(category, path_below(above, &category.value));
    let version = category.version;
    Answer::Created { resource, version }
}

async fn name_taken(tx: &Tx, wanted: &Category) -> Result<Decision, StoreError> {
    let holder = holder(tx, wanted.parent_id, &wanted.name).await?;
    let streams = holder.map(|(id, version)| (category_stream(id), version));
    let streams = streams.into_iter().collect();
    Ok(Decision::refused(&Refusal::NameTaken, streams))
}

fn path_of(places: &Places, id: CategoryId) -> CategoryPath {
    places
        .get(id)
        .map(|place| place.path.clone())
        .unwrap_or_default()
}

fn path_below(mut above: CategoryPath, category: &Category) -> CategoryPath {
    above.push(CategoryRef {
        id: category.id,
        name: category.name.clone(),
    });
    above
}
