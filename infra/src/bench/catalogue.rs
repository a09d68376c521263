//! What the shop is filled with: lines as the import takes them, generated or from a file.
//!
//! A seed gives the same catalogue in every run. Only what tidemark and floor both get is made here.

use std::io::BufRead;

use anyhow::{Context, Result, ensure};
use rand::prelude::*;
use rand::rngs::StdRng;
use schemas::rest::command::MoneyBody;
use schemas::rest::import::ProductLine;

use super::options::Options;
use crate::operation::import::file;

const KINDS: [(&str, &str); 24] = [
    ("Kitchen > Cookware", "saucepan"),
    ("Kitchen > Cookware", "frying pan"),
    ("Kitchen > Tableware", "teacup"),
    ("Kitchen > Tableware", "serving bowl"),
    ("Kitchen > Machines", "coffee grinder"),
    ("Kitchen > Machines", "toaster"),
    ("Home > Lighting", "desk lamp"),
    ("Home > Lighting", "floor lamp"),
    ("Home > Furniture > Seats", "armchair"),
    ("Home > Furniture > Seats", "stool"),
    ("Home > Furniture > Tables", "side table"),
    ("Home > Textiles", "blanket"),
    ("Home > Textiles", "cushion"),
    ("Garden > Tools", "pruning shears"),
    ("Garden > Tools", "watering can"),
    ("Garden > Pots", "plant pot"),
    ("Sports > Cycling", "bicycle pump"),
    ("Sports > Cycling", "pannier"),
    ("Sports > Hiking", "rucksack"),
    ("Sports > Hiking", "water bottle"),
    ("Electronics > Audio", "headphones"),
    ("Electronics > Audio", "loudspeaker"),
    ("Electronics > Power", "usb-c cable"),
    ("Electronics > Power", "battery charger"),
];
const LOOKS: [&str; 16] = [
    "plain",
    "striped",
    "matt",
    "polished",
    "folding",
    "compact",
    "large",
    "slim",
    "insulated",
    "wireless",
    "stackable",
    "adjustable",
    "light",
    "heavy",
    "quiet",
    "sturdy",
];
const MATERIALS: [&str; 14] = [
    "oak",
    "walnut",
    "steel",
    "copper",
    "linen",
    "wool",
    "cotton",
    "leather",
    "glass",
    "stoneware",
    "aluminium",
    "bamboo",
    "cork",
    "recycled plastic",
];
const COLOURS: [&str; 12] = [
    "black",
    "white",
    "sand",
    "olive",
    "navy",
    "rust",
    "grey",
    "teal",
    "mustard",
    "plum",
    "cream",
    "forest green",
];
const BRANDS: [&str; 20] = [
    "Alder & Finch",
    "Brightwater",
    "Casa Norte",
    "Dunmore",
    "Eskil",
    "Fernhill",
    "Grantham",
    "Halvorsen",
    "Isola",
    "Juniper Works",
    "Kestrel",
    "Lumen",
    "Marchetti",
    "Northlight",
    "Oriel",
    "Pembroke",
    "Quayside",
    "Rowan",
    "Solberg",
    "Thornbury",
];
const USES: [&str; 8] = [
    "Made for every day, it is easy to clean and hard to break.",
    "A present that is used long after the wrapping is gone.",
    "It stores flat and is ready in a moment.",
    "Tested over years in small workshops and large families.",
    "Spare parts are kept in stock, so it need not be thrown away.",
    "The finish ages well and shows no fingerprints.",
    "It goes with the rest of the series and with most other things.",
    "Light enough to carry around, heavy enough to stay where it is put.",
];

/// The products of the shop.
pub(super) fn read(options: &Options, products: usize, seed: u64) -> Result<Vec<ProductLine>> {
    let Some(path) = &options.catalogue else {
        return Ok(generate(products, seed));
    };
    let what = || format!("reading {}", path.display());
    let mut lines = Vec::new();
    for line in file::open(path)?.lines() {
        let line = line.with_context(what)?;
        lines.push(serde_json::from_str(&line).with_context(what)?);
    }
    ensure!(!lines.is_empty(), "{} has no products", path.display());
    Ok(lines)
}

fn generate(products: usize, seed: u64) -> Vec<ProductLine> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..products)
        .map(|number| product(number, &mut random))
        .collect()
}

fn product(number: usize, random: &mut StdRng) -> ProductLine {
    let mut one_of = |choices: &[&'static str]| choices[random.random_range(0..choices.len())];
    let (look, material, colour) = (one_of(&LOOKS), one_of(&MATERIALS), one_of(&COLOURS));
    let (brand, first, second) = (one_of(&BRANDS), one_of(&USES), one_of(&USES));
    let (category, kind) = KINDS[random.random_range(0..KINDS.len())];
    ProductLine {
        sku: format!("BN-{number:07}"),
        name: format!("{brand} {look} {material} {kind} {colour}"),
        description: format!("A {look} {kind} of {material}, in {colour}. {first} {second}"),
        brand: brand.to_owned(),
        categories: vec![category.to_owned()],
        price: MoneyBody {
            amount: random.random_range(199..=49_999),
            currency: "EUR".to_owned(),
        },
        inventory: random.random_range(0..=500),
        attributes: [("material", material), ("colour", colour), ("finish", look)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::generate;

    #[test]
    fn a_seed_gives_the_same_catalogue_again() {
        assert_eq!(generate(50, 7), generate(50, 7));
        assert_ne!(generate(50, 7), generate(50, 8));
    }
}
