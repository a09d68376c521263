//! The lanes that this process owns, and since which assignment.
//!
//! Every assignment of a partition has its own number, so that work begun under an earlier one is
//! recognized and discarded.

use std::collections::BTreeMap;

use schemas::lane::Lane;
use tokio::sync::watch;

/// The partitions of the events topic that this process holds, each with its assignment's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    partitions: BTreeMap<i32, u64>,
    last: u64,
    /// The number of partitions of the topic when it was last asked for.
    seen: Option<i32>,
}

impl Assignment {
    pub(super) fn assign(&mut self, partitions: impl IntoIterator<Item = i32>) {
        self.last += 1;
        let number = self.last;
        self.partitions
            .extend(partitions.into_iter().map(|partition| (partition, number)));
    }

    pub(super) fn revoke(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.partitions.remove(&partition);
        }
    }

    /// True if the number of partitions has changed since the last call.
    pub(super) fn see(&mut self, partitions: i32) -> bool {
        self.seen.replace(partitions) != Some(partitions)
    }

    /// The number of the assignment that holds the partition now.
    pub fn number(&self, partition: i32) -> Option<u64> {
        self.partitions.get(&partition).copied()
    }
}

/// Says which lanes this process owns. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Ownership {
    assignment: watch::Receiver<Assignment>,
    partitions: i32,
}

impl Ownership {
    /// `partitions` is how many the events topic has.
    pub fn new(assignment: watch::Receiver<Assignment>, partitions: i32) -> Self {
        Self {
            assignment,
            partitions,
        }
    }

    pub fn owns(&self, lane: Lane) -> bool {
        self.number(lane).is_some()
    }

    /// The number of the assignment under which this process owns the lane.
    pub fn number(&self, lane: Lane) -> Option<u64> {
        let partition = lane.partition(self.partitions);
        self.assignment.borrow().number(partition)
    }

    /// How many partitions the events topic has.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    pub fn owned_partitions(&self) -> Vec<i32> {
        self.assignment
            .borrow()
            .partitions
            .keys()
            .copied()
            .collect()
    }

    /// True if the topic has another number of partitions than when this process started: the lanes
    /// are then distributed differently.
    pub fn is_repartitioned(&self) -> bool {
        let assignment = self.assignment.borrow();
        let highest = assignment.partitions.keys().next_back();
        let has_new = highest.is_some_and(|highest| *highest >= self.partitions);
        has_new || assignment.seen.is_some_and(|seen| seen != self.partitions)
    }

    /// Returns at the next assignment or revocation. Never returns once the consumer has ended.
    pub async fn changed(&mut self) {
        if self.assignment.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(number: u8) -> Lane {
        Lane::try_from(number).unwrap()
    }

    #[test]
    fn a_partition_carries_every_lane_that_falls_to_it() {
        let (assignment, watched) = watch::channel(Assignment::default());
        let ownership = Ownership::new(watched, 8);
        assert!(!ownership.owns(lane(3)));
        assignment.send_modify(|assignment| assignment.assign([3]));
        assert!(ownership.owns(lane(3)) && ownership.owns(lane(11)));
        assert!(!ownership.owns(lane(4)));
    }

    #[test]
    fn another_number_of_partitions_is_noticed_also_by_those_who_own_none_of_what_is_new() {
        let (assignment, watched) = watch::channel(Assignment::default());
        let ownership = Ownership::new(watched, 8);
        assignment.send_modify(|assignment| assignment.assign([3]));
        assert!(!ownership.is_repartitioned(), "nobody has asked");
        assert!(assignment.send_if_modified(|assignment| assignment.see(8)));
        assert!(!ownership.is_repartitioned());
        assert!(!assignment.send_if_modified(|assignment| assignment.see(8)));
        for other in [12, 4] {
            assert!(assignment.send_if_modified(|assignment| assignment.see(other)));
            assert!(ownership.is_repartitioned(), "{other} instead of 8");
        }
    }
}
