//! Commands that wait to be committed, and a few leaders, each of which takes what waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// Bounded by the number of running commands.
#[derive(Debug)]
pub(super) struct Queue<T> {
    most_leaders: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(Ticket, T)>,
    tickets: u64,
    leaders: usize,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Takes what waits, until nothing does. Its place is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Leader<T> {
    queue: Arc<Queue<T>>,
    resigned: bool,
}

impl<T> Queue<T> {
    pub fn new(most_leaders: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            tickets: 0,
            leaders: 0,
        };
        Self {
            most_leaders,
            state: Mutex::new(state),
        }
    }

    /// Makes a leader where one is missing.
    pub fn join(self: &Arc<Self>, member: T) -> (Ticket, Option<Leader<T>>) {
        let mut state = self.lock();
        state.tickets += 1;
        let ticket = Ticket(state.tickets);
        state.waiting.push_back((ticket, member));
        let leader = (state.leaders < self.most_leaders).then(|| {
            state.leaders += 1;
            Leader {
                queue: Arc::clone(self),
                resigned: false,
            }
        });
        (ticket, leader)
    }

    /// False where a leader has taken it.
    pub fn leave(&self, ticket: Ticket) -> bool {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|(other, _)| *other == ticket);
        place
            .and_then(|place| state.waiting.remove(place))
            .is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl<T> Leader<T> {
    /// False once nothing waits: the next member that joins makes another leader.
    pub fn goes_on(&mut self) -> bool {
        let mut state = self.queue.lock();
        if state.waiting.is_empty() {
            state.leaders -= 1;
            self.resigned = true;
        }
        !self.resigned
    }

    /// The first of those that wait.
    pub fn take(&self, most: usize) -> Vec<T> {
        let mut state = self.queue.lock();
        let count = state.waiting.len().min(most);
        state
            .waiting
            .drain(..count)
            .map(|(_, member)| member)
            .collect()
    }
}

impl<T> Drop for Leader<T> {
    fn drop(&mut self) {
        if !self.resigned {
            self.queue.lock().leaders -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Arc<Queue<u8>> {
        Arc::new(Queue::new(1))
    }

    #[test]
    fn the_first_leads_and_takes_what_has_gathered() {
        let queue = queue();
        let (_, leader) = queue.join(1);
        let mut leader = leader.unwrap();
        assert!(queue.join(2).1.is_none(), "there is a leader");
        assert!(leader.goes_on());
        assert_eq!(leader.take(10), [1, 2]);
        queue.join(3);
        assert!(leader.goes_on());
        assert_eq!(leader.take(10), [3]);
        assert!(!leader.goes_on());
        assert!(queue.join(4).1.is_some(), "there is no leader any more");
    }

    #[test]
    fn a_leader_takes_no_more_than_so_many_and_the_oldest_first() {
        let queue = queue();
        let (_, leader) = queue.join(1);
        for member in 2..=5 {
            queue.join(member);
        }
        let leader = leader.unwrap();
        assert_eq!(leader.take(3), [1, 2, 3]);
        assert_eq!(leader.take(3), [4, 5]);
    }

    #[test]
    fn who_has_left_is_not_taken_and_who_was_taken_cannot_leave() {
        let queue = queue();
        let (first, leader) = queue.join(1);
        let (second, _) = queue.join(2);
        assert!(queue.leave(first));
        assert_eq!(leader.unwrap().take(10), [2]);
        assert!(!queue.leave(second));
    }

    #[test]
    fn a_leader_that_fails_leaves_its_place_to_another() {
        let queue = queue();
        drop(queue.join(1).1);
        let (_, leader) = queue.join(2);
        assert_eq!(leader.unwrap().take(10), [1, 2]);
    }
}
