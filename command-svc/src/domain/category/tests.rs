//! Rules of the category tree, as sentences.

use rstest::rstest;
use uuid::Uuid;

use super::*;

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn id(number: u128) -> CategoryId {
    CategoryId(Uuid::from_u128(number))
}

fn name(text: &str) -> CategoryName {
    CategoryName::parse(text).unwrap()
}

fn step(number: u128, name: &str) -> CategoryRef {
    CategoryRef {
        id: id(number),
        name: name.to_owned(),
    }
}

fn path(levels: u128) -> CategoryPath {
    (1..=levels)
        .map(|level| step(level, &format!("level {level}")))
        .collect()
}

fn living(path: CategoryPath) -> Place {
    Place {
        path,
        retired: false,
    }
}

fn around(places: impl IntoIterator<Item = (CategoryId, Place)>) -> Surroundings {
    Surroundings {
        places: places.into_iter().collect(),
        height: 1,
        ..Surroundings::default()
    }
}

fn created(number: u128, name: &str) -> Event {
    CategoryCreated {
        category_id: id(number),
        name: name.to_owned(),
        parent_id: None,
        path: vec![step(number, name)],
        occurred_at: at(),
    }
    .into()
}

fn retired(number: u128) -> Event {
    CategoryRetired {
        category_id: id(number),
        occurred_at: at(),
    }
    .into()
}

/// The fold of these events, met by this command in these surroundings.
fn given_when(
    events: &[Event],
    command: &CategoryCommand,
    around: &Surroundings,
) -> Result<Vec<Event>, CategoryRefusal> {
    let category = events.iter().fold(None, Category::evolve);
    Category::decide(category.as_ref(), command, around, at())
}

fn create_below(parent_id: Option<CategoryId>) -> CategoryCommand {
    CategoryCommand::Create {
        id: id(9),
        name: name("Lamps"),
        parent_id,
    }
}

fn rename(text: &str) -> CategoryCommand {
    CategoryCommand::Change(ChangeCategory {
        name: Some(name(text)),
        parent_id: None,
    })
}

fn move_below(parent_id: Option<CategoryId>) -> CategoryCommand {
    CategoryCommand::Change(ChangeCategory {
        name: None,
        parent_id: Some(parent_id),
    })
}

#[test]
fn a_new_category_knows_its_path() {
    let events = given_when(
        &[],
        &create_below(Some(id(2))),
        &around([(id(2), living(path(2)))]),
    )
    .unwrap();
    let [Event::CategoryCreated(event)] = &events[..] else {
        panic!("{events:?}")
    };
    let names: Vec<_> = event.path.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["level 1", "level 2", "Lamps"]);
}

#[rstest]
#[case::unknown(around([]), PlaceRefusal::Unknown(id(2)).into())]
#[case::retired(
    around([(id(2), Place { path: path(2), retired: true })]), PlaceRefusal::Retired(id(2)).into()
)]
#[case::on_the_last_level(around([(id(2), living(path(8)))]), CategoryRefusal::TooDeep)]
#[case::with_a_sibling_of_that_name(
    Surroundings { name_taken: true, ..around([(id(2), living(path(1)))]) },
    CategoryRefusal::NameTaken
)]
fn a_parent_may_refuse_a_new_category(
    #[case] around: Surroundings,
    #[case] refusal: CategoryRefusal,
) {
    assert_eq!(
        given_when(&[], &create_below(Some(id(2))), &around),
        Err(refusal)
    );
}

#[test]
fn a_new_name_is_a_fact() {
    let events = given_when(&[created(9, "Lamps")], &rename("Lights"), &around([])).unwrap();
    assert!(matches!(&events[..], [Event::CategoryRenamed(event)] if event.name == "Lights"));
}

#[test]
fn the_name_that_it_has_is_no_fact_though_taken() {
    let taken = Surroundings {
        name_taken: true,
        ..around([])
    };
    assert_eq!(
        given_when(&[created(9, "Lamps")], &rename("Lamps"), &taken),
        Ok(vec![])
    );
}

#[test]
fn a_name_of_a_sibling_is_refused() {
    let taken = Surroundings {
        name_taken: true,
        ..around([])
    };
    let renamed = given_when(&[created(9, "Lamps")], &rename("Lights"), &taken);
    assert_eq!(renamed, Err(CategoryRefusal::NameTaken));
}

#[test]
fn a_move_and_a_rename_in_one_are_two_facts() {
    let wish = ChangeCategory {
        name: Some(name("Lights")),
        parent_id: Some(Some(id(2))),
    };
    let around = around([(id(2), living(path(2)))]);
    let events = given_when(
        &[created(9, "Lamps")],
        &CategoryCommand::Change(wish),
        &around,
    )
    .unwrap();
    assert!(matches!(
        &events[..],
        [Event::CategoryMoved(_), Event::CategoryRenamed(_)]
    ));
    let after = events.iter().fold(Some(state()), Category::evolve).unwrap();
    assert_eq!(
        (after.name.as_str(), after.parent_id),
        ("Lights", Some(id(2)))
    );
}

fn state() -> Category {
    Category::evolve(None, &created(9, "Lamps")).unwrap()
}

#[rstest]
#[case::itself(vec![step(9, "Lamps")])]
#[case::a_descendant(vec![step(9, "Lamps"), step(2, "Desk lamps")])]
fn a_category_is_never_below_itself(#[case] path_of_parent: CategoryPath) {
    let parent = path_of_parent.last().unwrap().id;
    let around = around([(parent, living(path_of_parent))]);
    let moved = given_when(&[created(9, "Lamps")], &move_below(Some(parent)), &around);
    assert_eq!(moved, Err(CategoryRefusal::Cycle));
}

#[rstest]
#[case::just_fits(5, 3, true)]
#[case::one_too_many(6, 3, false)]
fn a_move_counts_what_is_below(#[case] depth: u128, #[case] height: usize, #[case] fits: bool) {
    let parents: CategoryPath = path(depth);
    let parent = parents.last().unwrap().id;
    let around = Surroundings {
        height,
        ..around([(parent, living(parents))])
    };
    let moved = given_when(&[created(99, "Lamps")], &move_below(Some(parent)), &around);
    assert_eq!(moved.is_ok(), fits);
    assert!(fits || moved == Err(CategoryRefusal::TooDeep));
}

#[test]
fn a_root_that_shall_be_a_root_has_nothing_to_do() {
    assert_eq!(
        given_when(&[created(9, "Lamps")], &move_below(None), &around([])),
        Ok(vec![])
    );
}

#[rstest]
#[case::by_products(Surroundings { has_products: true, ..around([]) })]
#[case::by_categories(Surroundings { has_children: true, ..around([]) })]
fn a_category_in_use_is_not_retired(#[case] around: Surroundings) {
    let refused = given_when(&[created(9, "Lamps")], &CategoryCommand::Retire, &around);
    assert_eq!(refused, Err(CategoryRefusal::InUse));
}

#[test]
fn retiring_twice_is_retiring_once() {
    let first = given_when(
        &[created(9, "Lamps")],
        &CategoryCommand::Retire,
        &around([]),
    );
    assert_eq!(first, Ok(vec![retired(9)]));
    let given = [created(9, "Lamps"), retired(9)];
    assert_eq!(
        given_when(&given, &CategoryCommand::Retire, &around([])),
        Ok(vec![])
    );
}

#[test]
fn a_retired_category_takes_no_more_changes() {
    let given = [created(9, "Lamps"), retired(9)];
    let renamed = given_when(&given, &rename("Lights"), &around([]));
    assert_eq!(renamed, Err(CategoryRefusal::Retired(id(9))));
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    for command in [rename("Lights"), CategoryCommand::Retire] {
        assert_eq!(
            given_when(&[], &command, &around([])),
            Err(CategoryRefusal::NoSuchCategory)
        );
    }
}
