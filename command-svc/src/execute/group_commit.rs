//! Group commit: changes that arrive together share one transaction.
//!
//! While one transaction is on its way to the disk, the next changes gather; PostgreSQL begins,
//! takes the lanes and commits once for all of them. No command waits for a group to fill, and a
//! group waits for no row. What cannot ride along goes alone, as if there were no groups: a change
//! whose row another transaction holds, one that appends nothing (a refusal, another version, a
//! no-op), one that needs more than its own row, and whatever has an idempotency key.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use chassis::clock::Deadline;
use chassis::postgres::Fault;
use chassis::telemetry::Chain;
use chrono::{DateTime, Utc};
use futures::{FutureExt, try_join};
use schemas::lane::Position;
use tokio::sync::oneshot;

use super::{Commands, Context, Outcome, Resource};
use crate::config::{
    GROUP_CONNECTION_TIMEOUT, GROUP_TIMEOUT, GROUPS_IN_FLIGHT, MAX_GROUP, MIN_REMAINING,
};
use crate::metrics;
use crate::store::{Changes, Database, StoreError, TransactionError, Tx, Wanted, log};

mod group;
mod queue;

use group::{Group, Rider, RiderOf};
use queue::{Leader, Queue};

/// Changes that wait to be committed together.
#[derive(Debug)]
pub(super) struct GroupCommit(Arc<Queue<Member>>);

/// A change that waits for its group.
#[derive(Debug)]
struct Member {
    rider: Box<dyn Rider>,
    context: Context,
    at: DateTime<Utc>,
    verdict: oneshot::Sender<Verdict>,
}

/// The outcome of a change that was to be committed with others.
#[derive(Debug)]
pub(super) enum Verdict {
    Committed(Outcome),
    /// Nothing was done: the command has to run alone.
    Alone,
    /// It may have been committed.
    Unknown(StoreError),
}

impl Default for GroupCommit {
    fn default() -> Self {
        Self(Arc::new(Queue::new(GROUPS_IN_FLIGHT)))
    }
}

impl Commands {
    /// Commits a command together with others, where it may.
    pub(super) async fn join_group<A: Resource>(
        &self,
        id: A::Id,
        command: &A::Command,
        context: &Context,
        at: DateTime<Utc>,
    ) -> Verdict {
        if !A::may_share(command) || context.key.is_some() {
            return Verdict::Alone;
        }
        let command = command.clone();
        let rider = Box::new(RiderOf::<A> { id, command });
        let (verdict, mut told) = oneshot::channel();
        let GroupCommit(queue) = &self.shared.group_commit;
        let (ticket, leader) = queue.join(Member {
            rider,
            context: context.clone(),
            at,
            verdict,
        });
        if let Some(leader) = leader {
            tokio::spawn(lead(self.database().clone(), leader));
        }
        let told = match context.deadline.run(&mut told).await {
            Ok(told) => told,
            Err(_) => {
                if queue.leave(ticket) {
                    return Verdict::Alone;
                }
                // Its group is committed without waiting for it.
                return told
                    .try_recv()
                    .unwrap_or(Verdict::Unknown(StoreError::Deadline));
            }
        };
        told.unwrap_or(Verdict::Unknown(StoreError::Abandoned))
    }
}

/// Commits group after group, until no change waits.
async fn lead(database: Database, mut leader: Leader<Member>) {
    while leader.goes_on() {
        // First the connection, so that more may gather and members without time left can leave.
        match database
            .borrow(Deadline::within(GROUP_CONNECTION_TIMEOUT))
            .await
        {
            Ok(tx) => {
                let committed = commit(&database, &tx, leader.take(MAX_GROUP));
                if AssertUnwindSafe(committed).catch_unwind().await.is_err() {
                    tracing::error!("a group panicked: its outcome is unknown");
                }
            }
            Err(error) if error.fault() == Fault::Timeout => {}
            // Each meets the error alone, and answers it.
            Err(_) => leader
                .take(MAX_GROUP)
                .into_iter()
                .for_each(Member::go_alone),
        }
    }
}

async fn commit(database: &Database, tx: &Tx, members: Vec<Member>) {
    let (members, hurried): (Vec<Member>, Vec<Member>) = members
        .into_iter()
        .partition(|member| member.context.deadline.remaining() > MIN_REMAINING);
    hurried.into_iter().for_each(Member::go_alone);
    if members.is_empty() {
        return;
    }
    let deadline = Deadline::within(GROUP_TIMEOUT);
    let mut group = match database.settle(tx, deadline, open(tx, &members)).await {
        Ok(held) => Group::new(held),
        Err(failure) => return dissolve(members, &failure),
    };
    for member in members {
        if let Some(member) = group.take_in(member) {
            member.go_alone();
        }
    }
    let ending = async {
        if group.riders().is_empty() {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        append(database, tx, &group, deadline).await
    };
    match database.settle(tx, deadline, ending).await {
        Ok(appended) => group.deliver(&appended),
        Err(TransactionError::Unknown(error)) => {
            let cause = Arc::new(error);
            for rider in group.into_members() {
                rider.tell(Verdict::Unknown(StoreError::Group(Arc::clone(&cause))));
            }
        }
        Err(failure) => dissolve(group.into_members(), &failure),
    }
}

/// Nothing but the store ends the transaction of a group.
type Failure = TransactionError<Infallible>;

async fn open(tx: &Tx, members: &[Member]) -> Result<Changes, Failure> {
    let mut wanted = Wanted::default();
    for member in members {
        member.rider.want(&mut wanted);
    }
    let ((), held) = try_join!(tx.begin(), Changes::lock_free(tx, wanted))?;
    Ok(held)
}

async fn append(
    database: &Database,
    tx: &Tx,
    group: &Group,
    deadline: Deadline,
) -> Result<Vec<Position>, Failure> {
    let (epoch, metas) = (database.epoch(), group.metas());
    let (changes, batch) = (group.changes(), group.changes().batch());
    let append = log::append(tx, epoch, &batch, &metas, None, deadline);
    let ((), appended, ()) = try_join!(changes.write(tx), append, tx.commit())?;
    database.committed(&appended);
    metrics::committed_together(group.riders().len());
    Ok(appended)
}

/// Nothing was committed: each member runs alone.
fn dissolve(members: Vec<Member>, failure: &Failure) {
    metrics::retried(failure.label());
    let count = members.len();
    tracing::debug!(command.count = count, error = %Chain(failure), "failed to commit a group");
    members.into_iter().for_each(Member::go_alone);
}

impl Member {
    fn go_alone(self) {
        self.tell(Verdict::Alone);
    }

    /// A caller that has given up is not notified.
    fn tell(self, verdict: Verdict) {
        self.verdict.send(verdict).ok();
    }
}
