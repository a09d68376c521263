//! Records of builds that are void: what two writers say at once must not leave a view unread.

use super::*;

fn retired(build: u32, lost: bool) -> Record {
    let retired = Retired {
        epoch: EPOCH,
        at: at(2),
        lost,
    };
    Record::Retired {
        view: VIEW.into(),
        build,
        retired,
    }
}

fn wish() -> Uuid {
    Uuid::from_u128(9)
}

/// The record, made by the wish.
fn by_wish(record: Record) -> Record {
    match record {
        Record::Announced {
            view,
            build,
            mut announced,
        } => {
            announced.wish = Some(wish());
            Record::Announced {
                view,
                build,
                announced,
            }
        }
        Record::Switch {
            view,
            id,
            mut switch,
        } => {
            switch.wish = Some(wish());
            Record::Switch { view, id, switch }
        }
        other => other,
    }
}

fn view_after(records: impl IntoIterator<Item = Record>) -> ViewState {
    state_after(records).view(VIEW).unwrap().clone()
}

#[test]
fn a_switch_to_a_retired_build_is_void_and_fulfils_no_wish() {
    let view = view_after([
        announced(1),
        switch(None, 1, &[]),
        announced(2),
        retired(2, false),
        by_wish(switch(Some(1), 2, &[(0, 9)])),
    ]);
    assert_eq!(view.active, Some(1));
    assert!(view.fulfilled.is_empty());
    assert_eq!(view.floors.get(lane(0)), 0);
}

#[test]
fn the_active_build_cannot_be_retired() {
    let view = view_after([announced(1), switch(None, 1, &[]), retired(1, false)]);
    assert!(view.active_build().is_some_and(BuildState::is_fed));
}

#[test]
fn a_lost_active_build_stays_the_active_one_but_is_read_no_more_until_a_switch_from_it() {
    let lost = [
        announced(1),
        switch(None, 1, &[]),
        visible(1, &[(0, 5, 5)]),
        retired(1, true),
    ];
    let view = view_after(lost.clone());
    assert_eq!(view.active, Some(1));
    assert!(view.active_build().is_none() && !view.covers(lane(0), 1));

    let next = [
        announced(2),
        visible(2, &[(0, 5, 5)]),
        switch(Some(1), 2, &[]),
    ];
    let view = view_after(lost.into_iter().chain(next));
    assert_eq!(view.active, Some(2));
    assert!(view.covers(lane(0), 5));
}

#[test]
fn a_lost_build_leaves_its_floor_behind() {
    let view = view_after([
        announced(1),
        switch(None, 1, &[]),
        visible(1, &[(0, 9, 9)]),
        retired(1, true),
        announced(2),
        visible(2, &[(0, 7, 9)]),
        switch(Some(1), 2, &[]),
    ]);
    assert!(!view.covers(lane(0), 1), "7 is below the floor of 9");
}

#[test]
fn a_wish_is_open_again_when_its_build_is_lost_before_it_was_read_from() {
    let wished = [announced(1), switch(None, 1, &[]), by_wish(announced(2))];
    assert_eq!(view_after(wished.clone()).fulfilled, [wish()]);
    let lost = wished.clone().into_iter().chain([retired(2, true)]);
    assert!(view_after(lost).fulfilled.is_empty());

    let read_from = [switch(Some(1), 2, &[]), retired(2, true)];
    let view = view_after(wished.into_iter().chain(read_from));
    assert_eq!(view.fulfilled, [wish()]);
}

#[test]
fn a_retired_build_that_is_found_lost_is_both() {
    let records = [announced(1), retired(1, false), retired(1, true)];
    let view = view_after(records);
    assert!(view.builds[&1].is_lost() && view.active.is_none());
}

#[test]
fn a_number_is_announced_once_with_one_index() {
    let Record::Announced {
        view,
        build,
        mut announced,
    } = announced(1)
    else {
        unreachable!()
    };
    let first = announced.clone();
    announced.index_uuid = "another".into();
    let again = Record::Announced {
        view,
        build,
        announced,
    };
    let view = view_after([super::announced(1), by_wish(again)]);
    assert_eq!(view.builds[&1].announced, Some(first));
    assert!(view.fulfilled.is_empty());
}
