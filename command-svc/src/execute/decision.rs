//! A decision: the answer, what is to be written, and on what it was decided.

use chrono::{DateTime, Utc};
use schemas::event::StreamId;
use schemas::lane::Position;

use super::answer::{Answer, Representation, Resource, ToProblem};
use super::expected::Expected;
use crate::domain::{RefusalKind, Refuse};
use crate::store::{Basis, Changes, Loaded, StoreError, Tx};

#[derive(Debug)]
pub(super) struct Decision {
    pub answer: Answer,
    /// False for what a client has to correct before it asks again: such answers keep no key.
    pub keeps_key: bool,
    pub changes: Changes,
    /// Where the log stood for what this was decided on, as far as it was read already.
    pub positions: Vec<Position>,
    /// The same by stream and version: still to be looked up.
    pub streams: Vec<(StreamId, u64)>,
}

impl Decision {
    fn unchanged(answer: Answer, basis: Basis) -> Self {
        Self {
            answer,
            keeps_key: true,
            changes: Changes::default(),
            positions: basis.positions,
            streams: basis.last_event.into_iter().collect(),
        }
    }

    fn refused(refusal: &(impl Refuse + ToProblem), mut basis: Basis) -> Self {
        let witnesses = std::mem::take(&mut basis.witnesses);
        let mut decision = Self::unchanged(Answer::refused(refusal), basis);
        decision.keeps_key = refusal.kind() != RefusalKind::Invalid;
        decision.streams.extend(witnesses);
        decision
    }
}

/// Decides a command on what was loaded for it, and inserts what has to be unique.
pub(super) async fn decide<A: Resource>(
    tx: &Tx,
    loaded: Loaded<A>,
    command: &A::Command,
    expected: &Expected,
    at: DateTime<Utc>,
) -> Result<Decision, StoreError> {
    let Loaded {
        state,
        context,
        basis,
    } = loaded;
    let before = state.as_ref();
    if let Some(mismatch) = mismatch::<A>(before.map(|own| own.version), command, expected) {
        return Ok(Decision::unchanged(mismatch, basis));
    }
    let events = match A::decide(before.map(|own| &own.value), command, &context, at) {
        Ok(events) => events,
        Err(refusal) => return Ok(Decision::refused(&refusal, basis)),
    };
    let known = before.map(|own| own.value.id());
    let changes = Changes::of(state, events);
    match known {
        Some(id) => Ok(change::<A>(id, changes, &context, basis)),
        None => create::<A>(tx, changes, &context, basis).await,
    }
}

fn change<A: Resource>(
    id: A::Id,
    changes: Changes,
    context: &A::Context,
    basis: Basis,
) -> Decision {
    let current = changes.get::<A>(id).expect("no event removes a row");
    let answer = Answer::Current(Representation::of(current, context));
    if changes.is_empty() {
        Decision::unchanged(answer, basis)
    } else {
        changed(answer, changes, basis)
    }
}

async fn create<A: Resource>(
    tx: &Tx,
    changes: Changes,
    context: &A::Context,
    mut basis: Basis,
) -> Result<Decision, StoreError> {
    let created = changes.created::<A>();
    let created = created.first().expect("a creation makes a row");
    if let Some(taken) = A::insert(tx, created).await? {
        basis.witnesses.extend(taken.holders);
        return Ok(Decision::refused(&taken.refusal, basis));
    }
    let answer = Answer::Created(Representation::of(created, context));
    Ok(changed(answer, changes, basis))
}

/// What is appended to a subject is above all earlier events of it, so those need not be named.
fn changed(answer: Answer, changes: Changes, basis: Basis) -> Decision {
    Decision {
        answer,
        keeps_key: true,
        changes,
        positions: basis.positions,
        streams: Vec::new(),
    }
}

/// None where the client expects what is there. What is missing is refused, whatever is expected.
fn mismatch<A: Resource>(
    version: Option<u64>,
    command: &A::Command,
    expected: &Expected,
) -> Option<Answer> {
    match version {
        None => {
            let is_foreseen = !A::creates(command) || expected.allows_creation();
            (!is_foreseen).then(Answer::nothing_to_match)
        }
        Some(version) => (!expected.allows(version)).then(|| Answer::mismatch(version)),
    }
}
