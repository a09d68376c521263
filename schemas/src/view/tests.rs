//! Laws of folding, over shops that change at random and a plain tree that says what is true.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use rstest::rstest;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::categories::PATH_IDS;
use super::given::{
    Log, PRODUCT, category, category_created, fold, moved, price_changed, product_categorized,
    product_created, renamed, stock_adjusted,
};
use super::products::CATEGORY_IDS;
use super::{Document, Targets, View};
use crate::event::category::CategoryPath;
use crate::event::{CategoryRef, Envelope, Event};

/// Something that happens in a shop; categories are named by their index.
#[derive(Debug, Clone)]
enum Step {
    Create(Option<Index>),
    Rename(Index),
    Move(Index, Option<Index>),
    Categorize(Vec<Index>),
    Price(i64),
    Stock(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<Option<Index>>().prop_map(Step::Create),
        any::<Index>().prop_map(Step::Rename),
        any::<(Index, Option<Index>)>().prop_map(|(which, to)| Step::Move(which, to)),
        vec(any::<Index>(), 0..3).prop_map(Step::Categorize),
        (0..1_000_000_i64).prop_map(Step::Price),
        (0..1_000_i64).prop_map(Step::Stock),
    ]
}

/// A shop with one product, its category tree as it truly is, and the log of how it came about.
#[derive(Debug, Default)]
struct Shop {
    /// Name and parent of each category.
    tree: Vec<(String, Option<usize>)>,
    product_in: Vec<usize>,
    log: Log,
}

fn any_shop() -> impl Strategy<Value = Shop> {
    vec(any_step(), 0..40).prop_map(|steps| {
        let mut shop = Shop::default();
        shop.create(None);
        shop.log.append(product_created(Vec::new()));
        for step in steps {
            shop.take(step);
        }
        shop
    })
}

impl Shop {
    fn take(&mut self, step: Step) {
        let minute = self.log.envelopes.len() as i64;
        let pick = |index: Index| index.index(self.tree.len());
        match step {
            Step::Create(parent) => self.create(parent.map(pick)),
            Step::Rename(which) => {
                let which = pick(which);
                self.tree[which].0 = format!("name {minute}");
                let name = &self.tree[which].0;
                self.log.append(renamed(which as u8, name, minute));
            }
            Step::Move(which, to) => self.move_category(pick(which), to.map(pick), minute),
            Step::Categorize(which) => {
                self.product_in = which.into_iter().map(pick).collect();
                self.product_in.dedup();
                let paths = self.product_paths();
                self.log.append(product_categorized(paths, minute));
            }
            Step::Price(amount) => {
                self.log.append(price_changed(amount, minute));
            }
            Step::Stock(units) => {
                self.log.append(stock_adjusted(units, units / 2, minute));
            }
        }
    }

    fn create(&mut self, parent: Option<usize>) {
        self.tree
            .push((format!("made {}", self.tree.len()), parent));
        let path = self.path(self.tree.len() - 1);
        self.log.append(category_created(path));
    }

    /// A move below itself is refused, so there is no event.
    fn move_category(&mut self, which: usize, to: Option<usize>, minute: i64) {
        let ancestors = to.map(|to| self.path(to)).unwrap_or_default();
        if ancestors
            .iter()
            .all(|step| step.id != category(which as u8))
        {
            self.tree[which].1 = to;
            self.log.append(moved(which as u8, ancestors, minute));
        }
    }

    /// The way from the root, as the tree has it now.
    fn path(&self, which: usize) -> CategoryPath {
        let (name, parent) = &self.tree[which];
        let mut path = parent.map(|parent| self.path(parent)).unwrap_or_default();
        path.push(CategoryRef {
            id: category(which as u8),
            name: name.clone(),
        });
        path
    }

    fn product_paths(&self) -> Vec<CategoryPath> {
        self.product_in
            .iter()
            .map(|&which| self.path(which))
            .collect()
    }

    /// Every document that there could be, by view and id.
    fn ids(&self) -> Vec<(View, Uuid)> {
        let categories = (0..self.tree.len()).map(|which| category(which as u8).0);
        let categories = categories.map(|id| (View::Categories, id));
        categories.chain([(View::Products, PRODUCT.0)]).collect()
    }

    fn document(&self, view: View, id: Uuid) -> Document {
        self.log.fold(view, id).unwrap().unwrap()
    }
}

fn stored_and_read(view: View, document: &Document) -> Document {
    view.parse(&to_raw_value(document).unwrap()).unwrap()
}

/// A document without what every event changes that is folded into it.
fn content(document: &Document) -> serde_json::Value {
    let mut content = serde_json::to_value(document).unwrap();
    for field in ["seq", "updated_at"] {
        content.as_object_mut().unwrap().remove(field);
    }
    content
}

/// Folds without asking whether the event concerns the document.
fn fold_regardless(document: Document, envelope: &Envelope) -> Document {
    let mut document = document;
    document.fold(envelope).unwrap();
    document
}

proptest! {
    #[test]
    fn every_document_says_what_the_tree_says(shop in any_shop()) {
        let Document::Products(product) = shop.document(View::Products, PRODUCT.0) else {
            panic!("no product")
        };
        let paths: Vec<_> = product.categories.into_iter().map(|it| it.path).collect();
        prop_assert_eq!(paths, shop.product_paths());
        for (which, (name, parent)) in shop.tree.iter().enumerate() {
            let document = shop.document(View::Categories, category(which as u8).0);
            let Document::Categories(document) = document else { panic!("no category") };
            prop_assert_eq!(&document.name, name);
            prop_assert_eq!(document.parent_id, parent.map(|parent| category(parent as u8)));
            prop_assert_eq!(document.path, shop.path(which));
        }
    }

    #[test]
    fn folding_the_same_events_gives_the_same_document(shop in any_shop()) {
        for (view, id) in shop.ids() {
            prop_assert_eq!(shop.document(view, id), shop.document(view, id));
        }
    }

    #[test]
    fn folding_a_prefix_storing_it_and_folding_the_rest_gives_the_same_document(
        shop in any_shop(), at in any::<Index>(),
    ) {
        let (prefix, rest) = shop.log.envelopes.split_at(at.index(shop.log.envelopes.len()));
        for (view, id) in shop.ids() {
            let before = fold(view, id, None, prefix).unwrap();
            let before = before.map(|document| stored_and_read(view, &document));
            let document = fold(view, id, before, rest).unwrap();
            prop_assert_eq!(document, Some(shop.document(view, id)));
        }
    }

    #[test]
    fn events_that_come_again_or_late_change_nothing(
        shop in any_shop(), at in any::<Index>(), back in any::<Index>(),
    ) {
        let all = &shop.log.envelopes;
        let at = at.index(all.len());
        let redelivered = [&all[..=at], &all[back.index(at + 1)..]].concat();
        for (view, id) in shop.ids() {
            let document = fold(view, id, None, &redelivered).unwrap();
            prop_assert_eq!(document, Some(shop.document(view, id)));
        }
    }

    #[test]
    fn a_document_reads_as_it_was_stored(shop in any_shop()) {
        for (view, id) in shop.ids() {
            let document = shop.document(view, id);
            prop_assert_eq!(stored_and_read(view, &document), document);
        }
    }

    #[test]
    fn the_version_of_a_document_is_the_seq_of_the_last_event_that_targets_it(shop in any_shop()) {
        for (view, id) in shop.ids() {
            let mut document = None;
            for envelope in &shop.log.envelopes {
                let concerned = match view.targets(&envelope.event) {
                    Targets::None => false,
                    Targets::These(ids) => ids.contains(&id),
                    Targets::Where { field, id } => {
                        document.as_ref().is_some_and(|it: &Document| it.has(field, id))
                    }
                };
                let before = document.as_ref().map(Document::seq);
                document = fold(view, id, document, std::slice::from_ref(envelope)).unwrap();
                let expected = if concerned { Some(envelope.seq) } else { before };
                prop_assert_eq!(document.as_ref().map(Document::seq), expected);
            }
        }
    }

    #[test]
    fn a_document_refers_to_exactly_what_it_has(shop in any_shop()) {
        let categories = (0..shop.tree.len()).map(|which| category(which as u8).0);
        let categories: BTreeSet<Uuid> = categories.collect();
        for (view, id) in shop.ids() {
            let document = shop.document(view, id);
            let referred: BTreeSet<_> = document.references().into_iter().collect();
            for field in [CATEGORY_IDS, PATH_IDS] {
                let had = categories.iter().filter(|id| document.has(field, **id));
                let referred = referred.iter().filter(|(of, _)| *of == field);
                prop_assert!(had.eq(referred.map(|(_, id)| id)));
            }
        }
    }

    #[test]
    fn a_broadcast_changes_exactly_the_documents_that_have_its_category(shop in any_shop()) {
        for (view, id) in shop.ids() {
            for (number, envelope) in shop.log.envelopes.iter().enumerate() {
                let Targets::Where { field, id: wanted } = view.targets(&envelope.event) else {
                    continue;
                };
                let before = fold(view, id, None, &shop.log.envelopes[..number]).unwrap();
                let Some(before) = before else { continue };
                let after = fold_regardless(before.clone(), envelope);
                let changed = content(&before) != content(&after);
                // Every rename here brings a new name; a move may lead to where it was.
                let is_rename = matches!(envelope.event, Event::CategoryRenamed(_));
                prop_assert!(!changed || before.has(field, wanted));
                prop_assert!(!is_rename || changed == before.has(field, wanted));
            }
        }
    }
}

#[test]
fn these_laws_are_asked_of_every_view() {
    let mut shop = Shop::default();
    shop.create(None);
    let asked: BTreeSet<View> = shop.ids().into_iter().map(|(view, _)| view).collect();
    assert_eq!(asked, BTreeSet::from(View::ALL));
}

#[rstest]
#[case(View::Products, "products")]
#[case(View::Categories, "categories")]
fn a_view_is_found_by_its_name(#[case] view: View, #[case] name: &str) {
    assert_eq!(view.name(), name);
    assert_eq!(View::from_name(name), Some(view));
    assert_eq!(View::from_name("sales of tomorrow"), None);
}
