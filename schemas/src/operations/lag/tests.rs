//! What several projectors say of one lane.

use super::*;

fn report(lane: u8, state: LaneHealth, applied: Option<Seq>) -> LagReport {
    let lane = LaneLag {
        lane: Lane::try_from(lane).unwrap(),
        head: 9,
        published: None,
        applied,
        visible: 7,
        behind_events: 2,
        behind_seconds: 1.0,
        state,
        stopped: None,
    };
    let view = ViewLag {
        view: "products".to_owned(),
        active: Some(1),
        builds: vec![BuildLag::of_lanes(1, vec![lane])],
    };
    LagReport {
        at: DateTime::UNIX_EPOCH,
        heads_at: None,
        views: vec![view],
    }
}

#[test]
fn the_owner_of_a_lane_is_believed_before_others() {
    let owner = report(3, LaneHealth::Behind, Some(8));
    let other = report(3, LaneHealth::Stalled, None);
    for merged in [owner.clone().merge(other.clone()), other.merge(owner)] {
        let build = &merged.views[0].builds[0];
        assert_eq!((build.state, build.lanes.len()), (LaneHealth::Behind, 1));
    }
}

#[test]
fn a_build_is_as_healthy_as_its_worst_lane() {
    let merged = report(3, LaneHealth::Idle, None).merge(report(4, LaneHealth::Dead, None));
    let build = &merged.views[0].builds[0];
    assert_eq!((build.state, build.behind_events), (LaneHealth::Dead, 4));
}
