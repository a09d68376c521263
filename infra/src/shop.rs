//! The sample shop of `tidemark demo`: what an online shop might sell, made of word lists.
//!
//! Pure and always the same, so importing it again changes nothing. No two products have the same
//! sku or name.

use std::collections::{BTreeMap, BTreeSet};

use schemas::rest::{command::MoneyBody, import::ProductLine};

use self::words::{Department, Kind, Shelf};

mod words;

/// Of each kind of thing on a shelf.
const VARIETIES: usize = 9;
const CURRENCY: &str = "EUR";
const SOLD_OUT_PERCENT: u64 = 6;

const WORDS: [&str; 8] = [
    include_str!("shop/kitchen.txt"),
    include_str!("shop/garden.txt"),
    include_str!("shop/tools.txt"),
    include_str!("shop/toys.txt"),
    include_str!("shop/books.txt"),
    include_str!("shop/outdoor.txt"),
    include_str!("shop/office.txt"),
    include_str!("shop/home.txt"),
];

/// Every product, as lines of an import.
pub fn products() -> Vec<ProductLine> {
    let departments = WORDS.map(words::parse);
    departments.iter().flat_map(of_department).collect()
}

/// How many categories have products in them.
pub fn categories(products: &[ProductLine]) -> usize {
    let categories: BTreeSet<&String> = products.iter().flat_map(|of| &of.categories).collect();
    categories.len()
}

fn of_department(department: &Department) -> Vec<ProductLine> {
    let mut products = Vec::new();
    for (shelf_number, shelf) in (1..).zip(&department.shelves) {
        let mut number = 0;
        for variety in 0..VARIETIES {
            for (kind_number, kind) in shelf.kinds.iter().enumerate() {
                number += 1;
                let place = Place {
                    department,
                    shelf,
                    kind,
                    sku: format!("{}-{shelf_number}{number:02}", department.code),
                    variety,
                    kind_number,
                };
                products.push(place.product());
            }
        }
    }
    products
}

/// One product's place in the shop; everything about it follows from this.
struct Place<'a> {
    department: &'a Department,
    shelf: &'a Shelf,
    kind: &'a Kind,
    sku: String,
    variety: usize,
    kind_number: usize,
}

impl Place<'_> {
    fn product(self) -> ProductLine {
        let (brand, about_brand) = at(&self.department.brands, self.variety + self.kind_number);
        let style = at(&self.shelf.styles, self.variety);
        let size = (!self.kind.sizes.is_empty()).then(|| self.variety % self.kind.sizes.len());
        let size = size.map(|index| (index, self.kind.sizes[index].clone()));
        let mut attributes: BTreeMap<String, String> = self
            .shelf
            .attributes
            .iter()
            .map(|(name, values)| (name.clone(), at(values, self.chance(name)).clone()))
            .collect();
        let mut name = self.kind.name(brand, style);
        if let Some((_, size)) = &size {
            name += &format!(", {size}");
            attributes.insert("size".to_owned(), size.clone());
        }
        ProductLine {
            name,
            description: self.description(about_brand),
            brand: brand.clone(),
            categories: vec![format!("{} > {}", self.department.name, self.shelf.name)],
            price: MoneyBody {
                amount: self.price(size.map_or(0, |(index, _)| index)),
                currency: CURRENCY.to_owned(),
            },
            inventory: self.inventory(),
            attributes,
            sku: self.sku,
        }
    }

    fn description(&self, about_brand: &str) -> String {
        let first = self.chance("note");
        let other = 1 + self.chance("other note") % (self.shelf.notes.len() - 1);
        let notes = [first, first + other].map(|index| at(&self.shelf.notes, index).as_str());
        [&self.kind.about, notes[0], notes[1], about_brand].join(" ")
    }

    /// Within the kind's range, larger sizes above smaller ones, ending as prices do.
    fn price(&self, size: usize) -> i64 {
        let (low, high) = self.kind.euros;
        let sizes = self.kind.sizes.len().max(1);
        let step = (high - low) as f64 / sizes as f64;
        let within = (self.chance("price") % 100) as f64 / 100.0;
        let euros = low as f64 + step * (size as f64 + within);
        let cents = match euros {
            euros if euros < 10.0 => at(&[49, 79, 99], self.chance("cents")),
            euros if euros < 100.0 => at(&[50, 90, 95, 99], self.chance("cents")),
            _ => &0,
        };
        euros as i64 * 100 + cents
    }

    fn inventory(&self) -> i64 {
        if self.mixed("sold out") % 100 < SOLD_OUT_PERCENT {
            return 0;
        }
        let (low, _) = self.kind.euros;
        let most = if low < 20 { 400 } else { 80 };
        1 + (self.mixed("inventory") % most).cast_signed()
    }

    fn chance(&self, of: &str) -> usize {
        (self.mixed(of) >> 8) as usize
    }

    /// A number that looks random and is always the same (FNV-1a, then a mix of the bits).
    fn mixed(&self, of: &str) -> u64 {
        let text = self.sku.bytes().chain(of.bytes());
        let hash = text.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 29)
    }
}

fn at<T>(list: &[T], index: usize) -> &T {
    &list[index % list.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::products;

    #[test]
    fn there_are_at_least_two_thousand_products_in_forty_categories() {
        let products = products();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for product in &products {
            *counts.entry(&product.categories[0]).or_default() += 1;
        }
        assert!(products.len() >= 2_000, "{}", products.len());
        assert_eq!(counts.len(), 40);
        assert!(counts.values().all(|count| *count >= 40), "{counts:?}");
    }

    #[test]
    fn no_two_products_have_the_same_sku_or_name() {
        let products = products();
        let skus: HashSet<_> = products.iter().map(|product| &product.sku).collect();
        let mut names = HashSet::new();
        for product in &products {
            assert!(names.insert(&product.name), "twice: {}", product.name);
        }
        assert_eq!(skus.len(), products.len());
    }

    #[test]
    fn the_shop_is_always_the_same() {
        assert_eq!(products(), products());
        let first = &products()[0];
        assert_eq!(first.sku, "KIT-101");
        assert_eq!(first.name, "Nordhaven Hammered Frying Pan, 20 cm");
    }

    #[test]
    fn prices_and_stocks_are_believable() {
        for product in products() {
            assert!(
                (199..=80_000).contains(&product.price.amount),
                "{product:?}"
            );
            assert!((0..=400).contains(&product.inventory), "{product:?}");
        }
        let sold_out = products()
            .iter()
            .filter(|product| product.inventory == 0)
            .count();
        assert!((50..300).contains(&sold_out), "{sold_out}");
    }

    #[test]
    fn texts_are_whole_sentences() {
        for product in products() {
            let text = &product.description;
            assert!((80..600).contains(&text.len()), "{product:?}");
            assert!(text.ends_with('.') && !text.contains("  "), "{product:?}");
            assert!(!product.name.contains(['{', '}']), "{product:?}");
            assert!(
                (8..100).contains(&product.name.chars().count()),
                "{product:?}"
            );
        }
    }
}
