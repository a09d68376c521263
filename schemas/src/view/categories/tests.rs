//! A category and its path, told as sentences.

use super::CategoryDocument;
use crate::event::{CategoryRetired, Event};
use crate::view::given::{
    Log, at, category, category_created, moved, path, price_changed, renamed,
};
use crate::view::{Document, FoldError, View};

const SHOP: [(u8, &str); 3] = [(1, "Home"), (2, "Lights"), (3, "Lamps")];

fn created() -> Event {
    category_created(path(&SHOP)).into()
}

fn retired() -> Event {
    CategoryRetired {
        category_id: category(3),
        occurred_at: at(5),
    }
    .into()
}

fn after(events: impl IntoIterator<Item = Event>) -> CategoryDocument {
    match Log::of(events).fold(View::Categories, category(3)).unwrap() {
        Some(Document::Categories(document)) => *document,
        other => panic!("no category but {other:?}"),
    }
}

#[test]
fn a_new_category_knows_its_way_from_the_root() {
    let lamps = after([created()]);
    assert_eq!(lamps.name, "Lamps");
    assert_eq!(lamps.parent_id, Some(category(2)));
    assert_eq!(lamps.path, path(&SHOP));
    assert_eq!(lamps.path_ids, [1, 2, 3].map(category));
    assert_eq!((lamps.depth, lamps.seq, lamps.stream_version), (3, 1, 1));
    assert!(!lamps.removed);
}

#[test]
fn a_renamed_category_reads_differently_in_name_and_path() {
    let lamps = after([created(), renamed(3, "Table lamps", 1).into()]);
    assert_eq!(lamps.name, "Table lamps");
    assert_eq!(lamps.path[2].name, "Table lamps");
    assert_eq!((lamps.seq, lamps.stream_version), (2, 2));
    assert_eq!((lamps.created_at, lamps.updated_at), (at(0), at(1)));
}

#[test]
fn a_renamed_ancestor_changes_the_path_and_not_the_version() {
    let lamps = after([created(), renamed(1, "House", 1).into()]);
    assert_eq!(lamps.path[0].name, "House");
    assert_eq!(lamps.name, "Lamps");
    assert_eq!((lamps.seq, lamps.stream_version), (2, 1));
}

#[test]
fn a_moved_category_has_a_new_parent() {
    let lamps = after([created(), moved(3, path(&[(7, "Sale")]), 1).into()]);
    assert_eq!(lamps.parent_id, Some(category(7)));
    assert_eq!(lamps.path, path(&[(7, "Sale"), (3, "Lamps")]));
    assert_eq!((lamps.depth, lamps.stream_version), (2, 2));
}

#[test]
fn a_moved_ancestor_takes_the_category_with_it() {
    let lamps = after([
        created(),
        moved(2, path(&[(7, "Sale"), (8, "Now")]), 1).into(),
    ]);
    assert_eq!(lamps.parent_id, Some(category(2)));
    assert_eq!(lamps.path_ids, [7, 8, 2, 3].map(category));
    assert_eq!((lamps.depth, lamps.stream_version), (4, 1));
}

#[test]
fn a_category_moved_to_the_root_has_no_parent() {
    let lamps = after([created(), moved(3, path(&[]), 1).into()]);
    assert_eq!(lamps.parent_id, None);
    assert_eq!((lamps.path, lamps.depth), (path(&SHOP[2..]), 1));
}

#[test]
fn what_happens_elsewhere_in_the_tree_changes_nothing() {
    let elsewhere = [renamed(9, "Toys", 1).into(), moved(9, path(&[]), 2).into()];
    let lamps = after([created()].into_iter().chain(elsewhere));
    assert_eq!(lamps, after([created()]));
}

#[test]
fn a_retired_category_is_marked_and_still_follows_its_ancestors() {
    let lamps = after([created(), retired(), renamed(1, "House", 6).into()]);
    assert!(lamps.removed);
    assert_eq!(lamps.path[0].name, "House");
    assert_eq!((lamps.seq, lamps.stream_version), (3, 2));
}

#[test]
fn events_of_products_leave_categories_alone() {
    let lamps = after([created(), price_changed(5, 1).into()]);
    assert_eq!(lamps, after([created()]));
}

#[test]
fn a_change_of_a_category_that_was_never_created_is_poison() {
    let error = Log::of([retired()])
        .fold(View::Categories, category(3))
        .unwrap_err();
    assert_eq!(
        error,
        FoldError::NoDocument {
            event: "category-retired"
        }
    );
}

#[test]
fn a_category_that_is_created_again_is_poison() {
    let log = Log::of([created(), created()]);
    let error = log.fold(View::Categories, category(3)).unwrap_err();
    assert_eq!(
        error,
        FoldError::AlreadyThere {
            event: "category-created"
        }
    );
}
