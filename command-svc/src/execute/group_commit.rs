//! Group commit: changes of products that arrive together share one transaction.
//!
//! While one transaction is on its way to the disk, the next changes gather; PostgreSQL begins,
//! takes the lanes and commits once for all of them. Nobody waits for a group to fill, and a group
//! waits for no row. What cannot ride along goes alone, as if there were no groups: a change whose
//! product somebody else holds, one that appends nothing (a refusal, another version, an already
//! true wish), one that names categories, and whatever has an idempotency key.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Deadline;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use futures::try_join;
use schemas::id::ProductId;
use schemas::lane::Position;
use tokio::sync::oneshot;

use super::attempt::{Failure, settle};
use super::{Answer, Command, Commands, Context, Outcome};
use crate::domain::product as rules;
use crate::metrics;
use crate::store::product::{category_ids, lock_free};
use crate::store::{self, StoreError, Tx, log};

mod group;
mod queue;

use group::Group;
use queue::{Leader, Queue};

/// One transaction reads and decides while the other is written to disk.
const AT_ONCE: usize = 2;
/// Changes in one transaction.
const MOST: usize = 64;
/// For a connection; those who wait may leave at any time.
const BORROW: Duration = Duration::from_secs(2);

/// Those who wait to be committed together.
#[derive(Debug)]
pub(super) struct GroupCommit(Arc<Queue<Member>>);

/// A change that waits for its group.
#[derive(Debug)]
struct Member {
    id: ProductId,
    change: rules::Command,
    context: Context,
    at: DateTime<Utc>,
    answer: oneshot::Sender<Joined>,
}

/// What became of a change that was to be committed with others.
#[derive(Debug)]
pub(super) enum Joined {
    Committed(Outcome),
    /// Nothing was done: it is to be executed alone.
    Alone,
    /// It may have been committed.
    Unknown(StoreError),
}

/// What a member gets of the transaction: its answer, and which of the appended events are its own.
#[derive(Debug)]
struct Share {
    answer: Answer,
    events: Range<usize>,
}

impl Default for GroupCommit {
    fn default() -> Self {
        Self(Arc::new(Queue::new(AT_ONCE)))
    }
}

impl Commands {
    /// Commits a command together with others, where it may.
    pub(super) async fn join_group(
        &self,
        command: &Command,
        context: &Context,
        at: DateTime<Utc>,
    ) -> Joined {
        let Some((id, change)) = may_ride_along(command, context) else {
            return Joined::Alone;
        };
        let (answer, answered) = oneshot::channel();
        let GroupCommit(queue) = &self.shared.group_commit;
        let (ticket, leader) = queue.join(Member {
            id,
            change: change.clone(),
            context: context.clone(),
            at,
            answer,
        });
        if let Some(leader) = leader {
            tokio::spawn(lead(self.clone(), leader));
        }
        match context.deadline.run(answered).await {
            Ok(Ok(joined)) => joined,
            Err(_) if queue.leave(ticket) => Joined::Alone,
            Ok(Err(_)) | Err(_) => Joined::Unknown(StoreError::Deadline),
        }
    }
}

fn may_ride_along<'a>(
    command: &'a Command,
    context: &Context,
) -> Option<(ProductId, &'a rules::Command)> {
    let Command::Product(id, change) = command else {
        return None;
    };
    let is_change = !matches!(change, rules::Command::Create(_));
    let rides = is_change && change.categories().is_empty() && context.key.is_none();
    rides.then_some((*id, change))
}

/// Commits group after group, until nobody waits.
async fn lead(commands: Commands, mut leader: Leader<Member>) {
    while leader.goes_on() {
        // First the connection, so that more may gather and whoever has no time left can leave.
        match store::borrow(commands.pool(), Deadline::within(BORROW)).await {
            Ok(tx) => commit(&commands, &tx, leader.take(MOST)).await,
            // Each finds out for itself, and answers as it would alone.
            Err(_) => dismiss(leader.take(MOST)),
        }
    }
}

async fn commit(commands: &Commands, tx: &Tx, members: Vec<Member>) {
    let Some(deadline) = members.iter().map(|member| member.context.deadline).max() else {
        return;
    };
    match settle(tx, deadline, transact(commands, tx, &members)).await {
        Ok(joined) => answer(members, joined),
        Err(Failure::Store {
            error,
            unknown: true,
        }) => {
            let cause = Arc::new(error);
            let unknown = || Joined::Unknown(StoreError::Group(Arc::clone(&cause)));
            let joined = members.iter().map(|_| unknown()).collect();
            answer(members, joined);
        }
        Err(failure) => {
            if let Failure::Store { error, .. } = &failure {
                tracing::debug!(error = %Chain(error), "a group is dissolved");
            }
            dismiss(members);
        }
    }
}

async fn transact(
    commands: &Commands,
    tx: &Tx,
    members: &[Member],
) -> Result<Vec<Joined>, Failure> {
    let mut ids: Vec<ProductId> = members.iter().map(|member| member.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let ((), free, categories) =
        try_join!(tx.begin(), lock_free(tx, &ids), category_ids(tx, &ids))?;
    let mut group = Group::new(free, categories);
    let shares: Vec<Option<Share>> = members.iter().map(|member| group.take_in(member)).collect();
    if group.is_empty() {
        tx.rollback().await?;
        return Ok(shares.into_iter().map(|_| Joined::Alone).collect());
    }
    let (epoch, metas) = (commands.epoch(), group.metas());
    let append = log::append(tx, epoch, group.batch(), metas, None);
    let ((), appended, ()) = try_join!(group.write(tx), append, tx.commit())?;
    commands.committed(&appended);
    metrics::committed_together(shares.iter().flatten().count());
    Ok(shares
        .into_iter()
        .map(|share| joined(share, &appended))
        .collect())
}

fn joined(share: Option<Share>, appended: &[Position]) -> Joined {
    share.map_or(Joined::Alone, |share| {
        Joined::Committed(Outcome {
            answer: share.answer,
            positions: appended[share.events].to_vec(),
            appended: true,
            replayed: false,
        })
    })
}

/// Whoever has gone away meanwhile is not answered.
fn answer(members: Vec<Member>, joined: Vec<Joined>) {
    for (member, joined) in members.into_iter().zip(joined) {
        member.answer.send(joined).ok();
    }
}

fn dismiss(members: Vec<Member>) {
    for member in members {
        member.answer.send(Joined::Alone).ok();
    }
}
