//! Commands of the category tree: under its lock, shared to add to it, exclusive to change it.

use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::event::category::CategoryPath;
use schemas::event::{CategoryRef, Event, StreamId};
use schemas::id::CategoryId;

use super::answer::{Answer, of_category};
use super::decision::{Decision, Rows};
use super::expected::Expected;
use crate::domain::Refusal;
use crate::domain::category::{
    Category, ChangeCategory, Command, Places, Surroundings, decide as decide_category, evolve,
};
use crate::store::category::{
    Found, TreeLock, holder, insert, lock, lock_tree, places, surroundings,
};
use crate::store::log::category_stream;
use crate::store::{StoreError, Stored, Tx, log};

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
    let decision = match decide_category(Some(&category.value), command, &around, at) {
        Err(refusal) => Decision::refused(&refusal, witnesses),
        Ok(events) => changed(category, &found.places, &events),
    };
    Ok(decision.decided_on(found.positions))
}

fn changed(category: Stored<Category>, places: &Places, events: &[Event]) -> Decision {
    let before = category.value.parent_id;
    let own_path = path_of(places, category.value.id);
    let mut batch = log::Batch::default();
    let category = append(category, events, &mut batch);
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
        resource: of_category(&category, path_below(above, &category.value)),
        version: category.version,
    };
    if events.is_empty() {
        return Decision::unchanged(answer, Vec::new());
    }
    Decision {
        batch,
        rows: Rows::Category(category),
        ..Decision::unchanged(answer, Vec::new())
    }
}

async fn create(
    tx: &Tx,
    loaded: Loaded,
    command: &Command,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    let Loaded {
        mut around, found, ..
    } = loaded;
    let events = match decide_category(None, command, &around, at) {
        Ok(events) => events,
        Err(refusal) => {
            return Ok(Decision::refused(&refusal, Vec::new()).decided_on(found.positions));
        }
    };
    let created = events
        .iter()
        .fold(None, evolve)
        .expect("creation makes a category");
    let mut batch = log::Batch::default();
    batch.push(1, &events[0]);
    let category = Stored {
        value: created,
        version: 1,
    };
    let parent_id = category.value.parent_id;
    if insert(tx, &category).await? {
        let above = parent_id
            .map(|id| path_of(&found.places, id))
            .unwrap_or_default();
        let resource = of_category(&category, path_below(above, &category.value));
        let answer = Answer::Created {
            resource,
            version: category.version,
        };
        let decision = Decision {
            batch,
            ..Decision::unchanged(answer, Vec::new())
        };
        return Ok(decision.decided_on(found.positions));
    }
    around.name_taken = true;
    let refusal = decide_category(None, command, &around, at).err();
    let refusal = refusal.unwrap_or(Refusal::CategoryNameTaken);
    let holder = holder(tx, parent_id, &category.value.name).await?;
    let streams = holder.map(|(id, version)| (category_stream(id), version));
    let decision = Decision::refused(&refusal, streams.into_iter().collect());
    Ok(decision.decided_on(found.positions))
}

fn append(
    category: Stored<Category>,
    events: &[Event],
    batch: &mut log::Batch,
) -> Stored<Category> {
    let Stored { value, mut version } = category;
    let mut state = Some(value);
    for event in events {
        version += 1;
        batch.push(version, event);
        state = evolve(state, event);
    }
    Stored {
        value: state.expect("no event takes a category away"),
        version,
    }
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
