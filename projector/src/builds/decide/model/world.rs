//! The world of the model: a topic, two keepers with the projectors of their versions, and indexes.

use schemas::watermark::{LaneMark, Watermark};

use super::*;

#[derive(Debug)]
struct Keeper {
    version: u32,
    is_alive: bool,
    /// What it has made of the records that it has read.
    state: WatermarkState,
    read: usize,
    lost: BTreeSet<u32>,
    stuck: BTreeSet<u32>,
    burnt: BTreeSet<u32>,
    removed: BTreeSet<u32>,
}

#[derive(Debug)]
pub(super) struct World {
    topic: Vec<Record>,
    /// The state after the whole topic.
    state: WatermarkState,
    keepers: [Keeper; 2],
    /// The indexes that there are, by number: UUID and version.
    indexes: BTreeMap<u32, (String, u32)>,
    /// How many events of each lane the builds show.
    filled: BTreeMap<u32, u64>,
    /// A build that takes no documents.
    blocked: Option<u32>,
    made: u32,
    now: Duration,
    /// By how much the clocks of those who publish are ahead.
    skew: TimeDelta,
}

impl Keeper {
    /// It finds the end of the topic where a new process would: behind what there is.
    fn new(version: u32, topic: &[Record], now: Duration) -> Self {
        let mut keeper = Self {
            version,
            is_alive: true,
            state: WatermarkState::new(EPOCH),
            read: 0,
            lost: BTreeSet::new(),
            stuck: BTreeSet::new(),
            burnt: BTreeSet::new(),
            removed: BTreeSet::new(),
        };
        keeper.read(topic, topic.len(), now);
        keeper.state.reach_end();
        keeper
    }

    fn read(&mut self, topic: &[Record], records: usize, now: Duration) {
        let end = topic.len().min(self.read + records);
        for (offset, record) in topic.iter().enumerate().take(end).skip(self.read) {
            self.state.apply(offset as u64, record.clone(), now);
        }
        self.read = end;
    }

    fn builds(&self) -> BTreeMap<u32, BuildState> {
        let view = self.state.view(VIEW);
        view.map(|view| view.builds.clone()).unwrap_or_default()
    }

    fn next_step(&self, now: Duration) -> Option<Step> {
        let facts = Facts {
            view: View::Products,
            version: self.version,
            now,
            at: DateTime::UNIX_EPOCH + now,
            remove_after: REMOVE_AFTER,
            lost: &self.lost,
            stuck: &self.stuck,
            burnt: &self.burnt,
            removed: &self.removed,
        };
        next_step(&self.state, &facts)
    }
}

impl World {
    pub(super) fn new(versions: [u32; 2], skew: TimeDelta) -> Self {
        let mut state = WatermarkState::new(EPOCH);
        state.reach_end();
        let now = Duration::from_secs(1_000);
        Self {
            topic: Vec::new(),
            state,
            keepers: versions.map(|version| Keeper::new(version, &[], now)),
            indexes: BTreeMap::new(),
            filled: BTreeMap::new(),
            blocked: None,
            made: 0,
            now,
            skew,
        }
    }

    pub(super) fn view(&self) -> ViewState {
        self.state.view(VIEW).cloned().unwrap_or_default()
    }

    /// The version of the active build, if that can be read and is fed.
    pub(super) fn served_by(&self) -> Option<u32> {
        let view = self.view();
        let active = view.active?;
        let build = &view.builds[&active];
        let is_served = build.is_fed() && !self.is_lost(active, build);
        version(build).filter(|_| is_served)
    }

    pub(super) fn highest_alive(&self) -> Option<u32> {
        let alive = self.keepers.iter().filter(|keeper| keeper.is_alive);
        alive.map(|keeper| keeper.version).max()
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Reads(keeper, records) => {
                self.keepers[keeper].read(&self.topic, records.into(), self.now);
            }
            Happening::Inspects(keeper) => self.inspect(keeper),
            Happening::Acts(keeper) => {
                self.act(keeper);
            }
            Happening::Filled(number) => self.fill_one(number, HEAD),
            Happening::FilledPartly(number) => self.fill_one(number, HEAD - 1),
            Happening::Lost(number) => {
                let there: Vec<u32> = self.indexes.keys().copied().collect();
                if let Some(build) = picked(number, &there) {
                    self.indexes.remove(&build);
                }
            }
            Happening::TakesNothing(number) => self.blocked = picked(number, &self.fed()),
            Happening::AllTake => self.blocked = None,
            Happening::Passes(seconds) => self.pass(Duration::from_secs(seconds.into())),
            Happening::Ends(keeper) => self.keepers[keeper].is_alive = false,
            Happening::Starts(keeper) => self.start(keeper),
            Happening::WishReplay => self.wish(WishKind::Replay),
            Happening::WishActivate(number) => {
                let builds: Vec<u32> = self.view().builds.into_keys().collect();
                if let Some(build) = picked(number, &builds) {
                    self.wish(WishKind::Activate { build });
                }
            }
        }
    }

    fn start(&mut self, keeper: usize) {
        if !self.keepers[keeper].is_alive {
            let version = self.keepers[keeper].version;
            self.keepers[keeper] = Keeper::new(version, &self.topic, self.now);
        }
    }

    /// Keepers have read by then what was said before, and projectors that run say again how far
    /// their builds are.
    fn pass(&mut self, time: Duration) {
        for keeper in &mut self.keepers {
            keeper.read(&self.topic, self.topic.len(), self.now);
        }
        self.now += time;
        for build in self.fed() {
            self.beat(build);
        }
    }

    /// Builds that projectors feed which are alive, with an index that is there.
    fn fed(&self) -> Vec<u32> {
        let alive = self.keepers.iter().filter(|keeper| keeper.is_alive);
        let alive: BTreeSet<u32> = alive.map(|keeper| keeper.version).collect();
        let is_fed = |number: &u32, build: &BuildState| {
            let is_known = version(build).is_some_and(|version| alive.contains(&version));
            build.is_fed() && is_known && !self.is_lost(*number, build)
        };
        let builds = self.view().builds.into_iter();
        let fed = builds.filter(|(number, build)| is_fed(number, build));
        fed.map(|(number, _)| number).collect()
    }

    fn is_lost(&self, number: u32, build: &BuildState) -> bool {
        let announced = build.announced.as_ref();
        let uuid = announced.map(|announced| announced.index_uuid.as_str());
        self.indexes.get(&number).map(|(uuid, _)| uuid.as_str()) != uuid
    }

    fn inspect(&mut self, keeper: usize) {
        let builds = self.keepers[keeper].builds().into_iter();
        let fed = builds.filter(|(_, build)| build.is_fed());
        let (lost, found): (Vec<_>, Vec<_>) =
            fed.partition(|(number, build)| self.is_lost(*number, build));
        let stuck = found.into_iter().map(|(number, _)| number);
        let stuck = stuck.filter(|number| self.blocked == Some(*number) && !self.is_full(*number));
        self.keepers[keeper].stuck = stuck.collect();
        let lost = lost.into_iter().map(|(number, _)| number);
        self.keepers[keeper].lost.extend(lost);
    }

    fn is_full(&self, build: u32) -> bool {
        self.filled.get(&build) == Some(&HEAD)
    }

    /// Takes the keeper's next step, if there is one.
    fn act(&mut self, keeper: usize) -> bool {
        let of = &self.keepers[keeper];
        let step = of.next_step(self.now).filter(|_| of.is_alive);
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
            Step::Remove { build } => self.remove(keeper, build),
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

    fn remove(&mut self, keeper: usize, build: u32) {
        let state = &self.view().builds[&build];
        assert!(!state.is_fed(), "somebody feeds it");
        if !self.is_lost(build, state) {
            self.indexes.remove(&build);
        }
        self.keepers[keeper].removed.insert(build);
    }

    fn fill_one(&mut self, number: u8, seq: u64) {
        if let Some(build) = picked(number, &self.fed()) {
            self.fill(build, seq);
        }
    }

    fn fill(&mut self, build: u32, seq: u64) {
        let filled = self.filled.entry(build).or_default();
        if self.blocked != Some(build) {
            *filled = seq.max(*filled);
        }
        self.beat(build);
    }

    /// Says how far the build is.
    fn beat(&mut self, build: u32) {
        let seq = self.filled.get(&build).copied().unwrap_or(0);
        let head = Some(HEAD);
        let lanes = Lane::all().map(|lane| LaneMark { lane, seq, head });
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

    /// What a clock of those who publish shows.
    fn at(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + self.skew + self.now
    }

    /// Appends a record, and looks whether all is well after it.
    fn say(&mut self, record: Record) {
        let before = self.state.view(VIEW);
        let before = before.map(|view| (view.active, view.floors.clone(), view.fulfilled.len()));
        let (active, floors, fulfilled) = before.unwrap_or_default();
        let offset = self.topic.len() as u64;
        self.state.apply(offset, record.clone(), self.now);
        self.topic.push(record);
        let after = self.state.view(VIEW).expect("every record is of it");
        if let Some(number) = after.active {
            let build = &after.builds[&number];
            assert!(build.is_fed() || build.is_lost(), "nobody feeds it");
            let is_new = active != Some(number);
            assert!(!is_new || self.is_full(number), "it was never filled");
        }
        assert!(after.floors.covers(&floors), "readers go back");
        for wish in after.fulfilled.iter().skip(fulfilled) {
            let kind = after.wishes.get(wish).map(|wish| &wish.kind);
            if let Some(WishKind::Activate { build }) = kind {
                assert_eq!(after.active, Some(*build), "void, yet fulfilled");
            }
        }
    }

    /// Some keeper lives, they read everything, inspect and act, and what is fed gets filled, for as
    /// long as it takes to find out which builds nobody feeds.
    pub(super) fn settle(&mut self) {
        if self.highest_alive().is_none() {
            self.start(0);
        }
        let end = self.now + FORSAKEN_AFTER + Duration::from_secs(20);
        while self.now < end {
            self.pass(Duration::from_secs(5));
            for build in self.fed() {
                self.fill(build, HEAD);
            }
            self.act_until_nothing_is_left();
        }
    }

    fn act_until_nothing_is_left(&mut self) {
        for _ in 0..100 {
            let mut acted = false;
            for keeper in 0..2 {
                self.keepers[keeper].read(&self.topic, self.topic.len(), self.now);
                self.inspect(keeper);
                acted |= self.act(keeper);
            }
            if !acted {
                return;
            }
        }
        panic!("the keepers come to no end: {:#?}", self.view());
    }
}

fn picked(number: u8, of: &[u32]) -> Option<u32> {
    let index = usize::from(number).checked_rem(of.len())?;
    of.get(index).copied()
}
