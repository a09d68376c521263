//! A small sea, searched completely: one lane, two builds, two replicas, one client.
//!
//! Replicas fold the topic with the code that the services use, and the client carries a real
//! tidemark. Every order of writing, indexing, publishing, switching, reading, and restarting from
//! a compacted topic is tried; with one rule left out, the checker finds how it goes wrong.

use rstest::rstest;
use schemas::lane::Seq;
use schemas::tidemark::Tidemark;
use stateright::{Checker, HasDiscoveries, Model, Property};

use sea::{Action, Replica, Rule, Scene, Sea, State};
use topic::{BUILDS, EPOCH, Said, VIEWS};

mod sea;
mod topic;

const MOST_EVENTS: Seq = 2;
const MOST_RECORDS: usize = 7;

const NEVER_BACK: &str = "no read goes back";
const OWN_WRITES: &str = "every read shows what its client wrote";
const GETS_THERE: &str = "sometimes everything is seen, and the tidemark idle again";

const REPLAY: Scene = Scene {
    builds: [0, 1],
    own: 2,
};
const REPLAY_WATCHED: Scene = Scene {
    builds: [0, 1],
    own: 0,
};
const ADDED_VIEW: Scene = Scene {
    builds: [0, 2],
    own: 2,
};

impl Model for Sea {
    type State = State;
    type Action = Action;

    /// Both builds are announced, and the first is read from.
    fn init_states(&self) -> Vec<State> {
        let first = Said::Switch {
            view: 0,
            from: None,
            to: 1,
            floor: 0,
        };
        let announced = self.scene.builds.into_iter().map(Said::Announced);
        let topic: Vec<_> = announced.chain([first]).collect();
        vec![State {
            head: 0,
            indexed: [0; BUILDS.len()],
            late: (0, topic.len()),
            topic,
            tidemark: Tidemark::new(EPOCH),
            wrote: 0,
            seen: [0; VIEWS.len()],
            went_back: false,
            missed_own: false,
        }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend([Action::Write, Action::Follow, Action::Restart]);
        for build in self.scene.builds {
            let (view, number) = BUILDS[build];
            actions.extend([Action::Index(build), Action::Publish(build)]);
            actions.extend([0, 1].map(|unread| Action::Switch(view, number, unread)));
            for replica in [Replica::Prompt, Replica::Late] {
                actions.extend([true, false].map(|newest| Action::Read(replica, view, newest)));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Write => self.write(&mut state),
            Action::Index(build) => state.indexed[build] = state.head,
            Action::Publish(build) => Self::publish(&mut state, build)?,
            Action::Switch(view, to, unread) => self.switch(&mut state, view, to, unread)?,
            Action::Follow => state.late.1 += 1,
            Action::Restart => {
                let all = state.topic.len();
                let is_same = self.known(&state.topic, all) == self.known(&state.topic, 0);
                state.late = (if is_same { 0 } else { all }, all);
            }
            Action::Read(replica, view, newest) => self.read(&mut state, replica, view, newest)?,
        }
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        let records = state.topic.len();
        state.head <= MOST_EVENTS && records <= MOST_RECORDS && state.late.1 <= records
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_BACK, |_, state: &State| !state.went_back),
            Property::always(OWN_WRITES, |_, state: &State| !state.missed_own),
            Property::sometimes(GETS_THERE, |sea: &Self, state: &State| {
                let mut views = sea.scene.builds.map(|build| BUILDS[build].0).into_iter();
                let is_idle = state.tidemark.entries().len() == 0;
                is_idle && views.all(|view| state.seen[view] == MOST_EVENTS)
            }),
        ]
    }
}

#[rstest]
#[case::a_replay(REPLAY)]
#[case::a_replay_watched(REPLAY_WATCHED)]
#[case::an_added_view(ADDED_VIEW)]
fn with_all_rules_no_read_goes_back_or_misses_a_write(#[case] scene: Scene) {
    let sea = Sea::new(scene, None);
    sea.checker()
        .threads(2)
        .spawn_bfs()
        .join()
        .assert_properties();
}

/// With a rule left out, the checker finds the shortest way to a broken promise.
#[rstest]
#[case::a_switch_takes_readers_back(REPLAY, Rule::Floors, NEVER_BACK)]
#[case::a_late_replica_takes_readers_back(REPLAY, Rule::Offset, NEVER_BACK)]
#[case::a_write_is_missed_in_another_view(ADDED_VIEW, Rule::PruneByAll, OWN_WRITES)]
fn without_a_rule(#[case] scene: Scene, #[case] rule: Rule, #[case] broken: &'static str) {
    let found = HasDiscoveries::AnyOf([broken].into());
    let checker = Sea::new(scene, Some(rule)).checker().finish_when(found);
    let way = checker
        .spawn_bfs()
        .join()
        .assert_any_discovery(broken)
        .into_actions();
    assert!(matches!(way.last(), Some(Action::Read(..))), "{way:?}");
    let switches = way
        .iter()
        .any(|action| matches!(action, Action::Switch(..)));
    assert_eq!(switches, rule != Rule::Offset, "{way:?}");
}
