//! Two keepers at once, in any order: each decides on as much of the topic as it has read.
//!
//! They may be of one version (ownership of lane 0 moves) or of two (an upgrade). Indexes are lost
//! at any moment. Whatever they say, the view has an active build that is fed or known to be lost,
//! and once both have read everything it is served again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use schemas::id::Epoch;
use schemas::watermark::{Announced, LaneMark, Record, Retired, Watermark, Wish};

use super::*;
use crate::builds::REMOVE_AFTER;

const EPOCH: Epoch = Epoch(7);
const VIEW: &str = "products";
const HEAD: u64 = 5;

/// One thing that happens. Builds are picked by a number that is taken modulo what there is.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Reads(usize, u8),
    /// Looks which indexes are gone.
    Inspects(usize),
    Acts(usize),
    Filled(u8),
    Lost(u8),
    WishReplay,
    WishActivate(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..2_usize, 1..9_u8).prop_map(|(keeper, records)| Happening::Reads(keeper, records)),
        1 => (0..2_usize).prop_map(Happening::Inspects),
        6 => (0..2_usize).prop_map(Happening::Acts),
        4 => any::<u8>().prop_map(Happening::Filled),
        1 => any::<u8>().prop_map(Happening::Lost),
        1 => Just(Happening::WishReplay),
        3 => any::<u8>().prop_map(Happening::WishActivate),
    ]
}

#[derive(Debug)]
struct Keeper {
    version: u32,
    read: usize,
    lost: BTreeSet<u32>,
    burnt: BTreeSet<u32>,
}

#[derive(Debug)]
struct World {
    topic: Vec<Record>,
    /// The state after the whole topic.
    state: WatermarkState,
    keepers: [Keeper; 2],
    /// The indexes that there are, by number: UUID and version.
    indexes: BTreeMap<u32, (String, u32)>,
    made: u32,
    now: Duration,
}

impl World {
    fn new(versions: [u32; 2]) -> Self {
        let mut state = WatermarkState::new(EPOCH);
        state.reach_end();
        let keeper = |version| Keeper {
            version,
            read: 0,
            lost: BTreeSet::new(),
            burnt: BTreeSet::new(),
        };
        Self {
            topic: Vec::new(),
            state,
            keepers: versions.map(keeper),
            indexes: BTreeMap::new(),
            made: 0,
            now: Duration::ZERO,
        }
    }

    fn view(&self) -> ViewState {
        self.state.view(VIEW).cloned().unwrap_or_default()
    }

    fn happen(&mut self, happening: Happening) {
        let picked = |number: u8, of: usize| usize::from(number).checked_rem(of);
        match happening {
            Happening::Reads(keeper, records) => {
                let read = self.keepers[keeper].read + usize::from(records);
                self.keepers[keeper].read = read.min(self.topic.len());
            }
            Happening::Inspects(keeper) => self.inspect(keeper),
            Happening::Acts(keeper) => {
                self.act(keeper);
            }
            Happening::Filled(number) => {
                let fed = self.fed();
                if let Some(index) = picked(number, fed.len()) {
                    self.fill(fed[index]);
                }
            }
            Happening::Lost(number) => {
                let there: Vec<u32> = self.indexes.keys().copied().collect();
                if let Some(index) = picked(number, there.len()) {
                    self.indexes.remove(&there[index]);
                }
            }
            Happening::WishReplay => self.wish(WishKind::Replay),
            Happening::WishActivate(number) => {
                let builds: Vec<u32> = self.view().builds.into_keys().collect();
                if let Some(index) = picked(number, builds.len()) {
                    let build = builds[index];
                    self.wish(WishKind::Activate { build });
                }
            }
        }
    }

    /// Builds that are fed, with an index that is there.
    fn fed(&self) -> Vec<u32> {
        let fed = self.view().builds.into_iter();
        fed.filter(|(number, build)| build.is_fed() && !self.is_lost(*number, build))
            .map(|(number, _)| number)
            .collect()
    }

    fn is_lost(&self, number: u32, build: &BuildState) -> bool {
        let announced = build.announced.as_ref();
        let uuid = announced.map(|announced| announced.index_uuid.as_str());
        self.indexes.get(&number).map(|(uuid, _)| uuid.as_str()) != uuid
    }

    fn known_to(&self, keeper: usize) -> WatermarkState {
        let mut state = WatermarkState::new(EPOCH);
        state.reach_end();
        for (offset, record) in self.topic[..self.keepers[keeper].read].iter().enumerate() {
            state.apply(offset as u64, record.clone(), Duration::ZERO);
        }
        state
    }

    fn inspect(&mut self, keeper: usize) {
        let known = self.known_to(keeper);
        let builds = known.view(VIEW).map(|view| view.builds.clone());
        let lost = builds.into_iter().flatten();
        let lost = lost
            .filter(|(number, build)| build.is_fed() && self.is_lost(*number, build))
            .map(|(number, _)| number);
        let lost: Vec<u32> = lost.collect();
        self.keepers[keeper].lost.extend(lost);
    }

    /// Takes the keeper's next step, if there is one.
    fn act(&mut self, keeper: usize) -> bool {
        let known = self.known_to(keeper);
        let Keeper {
            version,
            lost,
            burnt,
            ..
        } = &self.keepers[keeper];
        let facts = Facts {
            view: View::Products,
            version: *version,
            now: self.now,
            at: self.at(),
            remove_after: REMOVE_AFTER,
            lost,
            stuck: &BTreeSet::new(),
            burnt,
            removed: &BTreeSet::new(),
        };
        let step = next_step(&known, &facts);
        let acts = step.is_some();
        if let Some(step) = step {
            self.take(keeper, step);
        }
        acts
    }

    fn take(&mut self, keeper: usize, step: Step) {
        let view = VIEW.to_owned();
        match step {
            Step::Announce { build, wish } => self.announce(keeper, build, wish),
            Step::Switch(switch) => {
                let id = Uuid::from_u128(self.topic.len() as u128);
                self.say(Record::Switch { view, id, switch });
            }
            Step::Retire { build, lost } => {
                let (epoch, at) = (EPOCH, self.at());
                let retired = Retired { epoch, at, lost };
                self.say(Record::Retired {
                    view,
                    build,
                    retired,
                });
            }
            Step::Remove { .. } => unreachable!("the clock stands still"),
        }
    }

    fn announce(&mut self, keeper: usize, build: u32, wish: Option<Uuid>) {
        let version = self.keepers[keeper].version;
        self.made += 1;
        let made = (format!("uuid-{}", self.made), version);
        let (index_uuid, found) = self.indexes.entry(build).or_insert(made).clone();
        if found != version {
            self.keepers[keeper].burnt.insert(build);
            return;
        }
        let announced = Announced {
            epoch: EPOCH,
            index: format!("products-b{build}"),
            index_uuid,
            version,
            at: self.at(),
            wish,
        };
        let view = VIEW.to_owned();
        self.say(Record::Announced {
            view,
            build,
            announced,
        });
    }

    fn at(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.now
    }

    fn fill(&mut self, build: u32) {
        let head = Some(HEAD);
        let lanes = Lane::all().map(|lane| LaneMark {
            lane,
            seq: HEAD,
            head,
        });
        let watermark = Watermark {
            version: 1,
            epoch: EPOCH,
            lanes: lanes.collect(),
            at: self.at(),
            heads_at: Some(self.at()),
            covered_recorded_at: None,
            held: BTreeMap::new(),
            changed: None,
        };
        self.say(Record::Watermark {
            view: VIEW.into(),
            build,
            partition: 0,
            watermark,
        });
    }

    fn wish(&mut self, kind: WishKind) {
        let wish = Wish {
            epoch: EPOCH,
            kind,
            at: self.at(),
        };
        let id = Uuid::from_u128(self.topic.len() as u128);
        let view = VIEW.to_owned();
        self.say(Record::Wish { view, id, wish });
    }

    /// Appends a record, and looks whether all is well after it.
    fn say(&mut self, record: Record) {
        let before = self.view();
        let offset = self.topic.len() as u64;
        self.state.apply(offset, record.clone(), Duration::ZERO);
        self.topic.push(record);
        let after = self.view();
        if let Some(active) = after.active {
            let active = &after.builds[&active];
            assert!(active.is_fed() || active.is_lost(), "nobody feeds it");
        }
        assert!(after.floors.covers(&before.floors), "readers go back");
        for wish in &after.fulfilled[before.fulfilled.len().min(after.fulfilled.len())..] {
            let kind = after.wishes.get(wish).map(|wish| &wish.kind);
            if let Some(WishKind::Activate { build }) = kind {
                assert_eq!(after.active, Some(*build), "void, yet fulfilled");
            }
        }
    }

    /// Both read everything, inspect and act, and what is fed gets filled, until nobody has a step to take.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut acted = false;
            for keeper in 0..2 {
                self.keepers[keeper].read = self.topic.len();
                self.inspect(keeper);
                acted |= self.act(keeper);
            }
            for build in self.fed() {
                let is_filled = self.view().builds[&build].is_caught_up(self.now);
                if !is_filled {
                    self.fill(build);
                    acted = true;
                }
            }
            if !acted {
                return;
            }
        }
        panic!("the keepers come to no end: {:#?}", self.view());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_two_keepers_say_the_view_is_served_in_the_end(
        versions in prop_oneof![Just([1, 1]), Just([1, 2]), Just([2, 1])],
        happenings in vec(happening(), 0..150),
    ) {
        let mut world = World::new(versions);
        for happening in happenings {
            world.happen(happening);
        }
        world.settle();
        let view = world.view();
        let active = view.active.expect("the view is served");
        let build = &view.builds[&active];
        prop_assert!(build.is_fed() && !world.is_lost(active, build));
        let highest = versions.into_iter().max();
        prop_assert_eq!(version(build), highest);
        let is_replay = |(_, wish): &(Uuid, &Wish)| wish.kind == WishKind::Replay;
        prop_assert_eq!(view.open_wishes().find(is_replay), None);
    }
}
