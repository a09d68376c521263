//! Two keepers at once, in any order: each decides on as much of the topic as it has read.
//!
//! They may be of one version (ownership of lane 0 moves) or of two (an upgrade, and the way back).
//! Time passes, projectors end and start, indexes are lost or take no documents, builds are filled
//! wholly or stay behind, and no clock shows what another one does. Whatever the keepers say, the
//! view has an active build that is fed or known to be lost, and once they have read everything it
//! is served again, by the highest version that is alive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::prelude::*;
use schemas::id::Epoch;
use schemas::watermark::{Announced, Record, Retired, Wish};

use super::*;
use crate::builds::REMOVE_AFTER;

mod world;

use world::World;

const EPOCH: Epoch = Epoch(7);
const VIEW: &str = "products";
const HEAD: u64 = 5;

/// One thing that happens. Builds are picked by a number that is taken modulo what there is.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Reads(usize, u8),
    /// Looks which indexes are gone, and which builds are stuck.
    Inspects(usize),
    Acts(usize),
    Filled(u8),
    /// Filled, but for the last event.
    FilledPartly(u8),
    Lost(u8),
    /// From now on this build takes no documents, and any other one does.
    TakesNothing(u8),
    AllTake,
    /// This many seconds pass. Meanwhile projectors that run repeat their watermarks.
    Passes(u8),
    /// The projectors of a keeper's version end or start, with the keeper.
    Ends(usize),
    Starts(usize),
    WishReplay,
    WishActivate(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..2_usize, 1..9_u8).prop_map(|(keeper, records)| Happening::Reads(keeper, records)),
        1 => (0..2_usize).prop_map(Happening::Inspects),
        6 => (0..2_usize).prop_map(Happening::Acts),
        4 => any::<u8>().prop_map(Happening::Filled),
        2 => any::<u8>().prop_map(Happening::FilledPartly),
        1 => any::<u8>().prop_map(Happening::Lost),
        1 => any::<u8>().prop_map(Happening::TakesNothing),
        1 => Just(Happening::AllTake),
        2 => prop_oneof![0..5_u8, 55..70_u8, 115..130_u8].prop_map(Happening::Passes),
        1 => (0..2_usize).prop_map(Happening::Ends),
        1 => (0..2_usize).prop_map(Happening::Starts),
        1 => Just(Happening::WishReplay),
        3 => any::<u8>().prop_map(Happening::WishActivate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_two_keepers_say_the_view_is_served_in_the_end(
        versions in prop_oneof![Just([1, 1]), Just([1, 2]), Just([2, 1])],
        skew in prop_oneof![Just(0), -3_600..3_600_i64],
        happenings in vec(happening(), 0..150),
    ) {
        let mut world = World::new(versions, TimeDelta::seconds(skew));
        for happening in happenings {
            world.happen(happening);
        }
        world.settle();
        prop_assert!(world.served_by().is_some());
        world.happen(Happening::AllTake);
        world.settle();
        prop_assert_eq!(world.served_by(), world.highest_alive());
        let view = world.view();
        let is_replay = |(_, wish): &(Uuid, &Wish)| wish.kind == WishKind::Replay;
        prop_assert_eq!(view.open_wishes().find(is_replay), None);
    }
}
