//! The sea: its state, what may happen, and the rules of reading, pruning and switching.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use schemas::lane::{Position, Seq};
use schemas::tidemark::Tidemark;
use schemas::watermark::WatermarkState;

use super::topic::{self, BUILDS, Said, VIEWS, lane};

/// What there is beside the first build.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// By index: two of one view (a replay), or of two (a view that is added).
    pub builds: [usize; 2],
    /// The event that is the client's own; 0 where it only reads.
    pub own: Seq,
}

/// A rule that may be left out, to see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A read stands at or above the floor of its view.
    Floors,
    /// A read stands at or above the `G` of its tidemark.
    Offset,
    /// An entry is pruned only when all announced views show it.
    PruneByAll,
}

/// By what was read, and how much of it at the start.
type Folded = HashMap<(Vec<Said>, usize), Arc<WatermarkState>>;

#[derive(Debug)]
pub struct Sea {
    pub scene: Scene,
    without: Option<Rule>,
    /// Folding is slow beside all else, and there are few topics.
    folded: Mutex<Folded>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub head: Seq,
    /// What a search of each build may already show.
    pub indexed: [Seq; BUILDS.len()],
    pub topic: Vec<Said>,
    /// One replica has read the whole topic; the other this number of records, the first part of them
    /// at its start, as compaction had left them.
    pub late: (usize, usize),
    pub tidemark: Tidemark,
    pub wrote: Seq,
    pub seen: [Seq; VIEWS.len()],
    pub went_back: bool,
    pub missed_own: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replica {
    Prompt,
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Write,
    Index(usize),
    Publish(usize),
    /// Of this view to this build, by a publisher that has read all but this number of records.
    Switch(usize, u32, usize),
    /// The late replica reads a record.
    Follow,
    /// The late replica starts again and reads all.
    Restart,
    /// Of this view. The hits are as old as the watermark allows, or as new as can be.
    Read(Replica, usize, bool),
}

impl Sea {
    pub fn new(scene: Scene, without: Option<Rule>) -> Self {
        Self {
            scene,
            without,
            folded: Mutex::default(),
        }
    }

    fn has(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    pub fn known(&self, topic: &[Said], at_start: usize) -> Arc<WatermarkState> {
        let mut folded = self.folded.lock().unwrap();
        let known = folded.entry((topic.to_vec(), at_start));
        Arc::clone(known.or_insert_with(|| Arc::new(topic::known(topic, at_start))))
    }

    fn covers(&self, known: &WatermarkState, view: usize, tidemark: &Tidemark) -> bool {
        let entry = tidemark.seq(lane());
        let is_visible = known.view(VIEWS[view]).is_some_and(|view| {
            let active = view.active_build();
            let reached = active.is_some_and(|build| build.visible.get(lane()) >= entry);
            view.covers(lane(), entry) || (!self.has(Rule::Floors) && reached)
        });
        is_visible && (known.offset_read() >= tidemark.offset() || !self.has(Rule::Offset))
    }

    fn may_prune(&self, known: &WatermarkState, view: usize, seq: Seq) -> bool {
        let here = known.view(VIEWS[view]);
        let here = here.is_some_and(|view| view.covers(lane(), seq));
        known.everywhere_visible(lane(), seq) || (!self.has(Rule::PruneByAll) && here)
    }

    pub fn read(
        &self,
        state: &mut State,
        replica: Replica,
        view: usize,
        newest: bool,
    ) -> Option<()> {
        let known = match (replica, state.late) {
            (Replica::Prompt, _) => self.known(&state.topic, 0),
            (Replica::Late, (at_start, read)) => self.known(&state.topic[..read], at_start),
        };
        if !self.covers(&known, view, &state.tidemark) {
            return None;
        }
        let own = known.view(VIEWS[view])?;
        let visible = own.active_build()?.visible.get(lane());
        let build = BUILDS
            .iter()
            .position(|build| (build.0, Some(build.1)) == (view, own.active))?;
        let seq = if newest {
            state.indexed[build]
        } else {
            visible
        };

        state.went_back |= seq < state.seen[view];
        state.missed_own |= seq < state.wrote;
        state.seen[view] = seq.max(state.seen[view]);
        state.tidemark.raise_offset(known.offset());
        state
            .tidemark
            .prune(|entry| !self.may_prune(&known, view, entry.seq));
        if seq > visible {
            state.tidemark.raise(Position { lane: lane(), seq });
        }
        Some(())
    }

    /// As the projector decides: the build had reached the head that its last record names, and
    /// the floors are as its publisher knows them.
    pub fn switch(&self, state: &mut State, view: usize, to: u32, unread: usize) -> Option<()> {
        let known = self.known(&state.topic[..state.topic.len() - unread], 0);
        let own = known.view(VIEWS[view])?;
        let said = own.builds.get(&to)?.lanes.get(&lane())?;
        if own.active == Some(to) || said.seq < said.head? {
            return None;
        }
        let other = known.view(VIEWS[1 - view]);
        let lowest = other
            .filter(|_| own.active.is_none())
            .map_or(0, |it| it.floors.get(lane()));
        let floor = own.floors.get(lane()).max(lowest);
        state.topic.push(Said::Switch {
            view,
            from: own.active,
            to,
            floor,
        });
        Some(())
    }

    pub fn publish(state: &mut State, build: usize) -> Option<()> {
        let (seq, head) = (state.indexed[build], state.head);
        let is_news = !state.topic.iter().any(|said| said.shows(build, seq));
        is_news.then(|| state.topic.push(Said::Visible { build, seq, head }))
    }

    pub fn write(&self, state: &mut State) {
        state.head += 1;
        if state.head == self.scene.own {
            state.wrote = state.head;
            state.tidemark.raise(Position {
                lane: lane(),
                seq: state.head,
            });
        }
    }
}
