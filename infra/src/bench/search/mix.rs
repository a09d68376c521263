//! The searches that are asked: drawn from the catalogue by seed, with the bodies that query-svc
//! makes of them.
//!
//! A search that finds too little is asked again more tolerantly; those bodies are the floor's too.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use query_svc::search::products::{Body, Start, body, probe};
use query_svc::search::words::Words;
use query_svc::search::{ProductSearch, Tolerance};
use rand::distr::weighted::WeightedIndex;
use rand::prelude::*;
use rand::rngs::StdRng;
use reqwest::Url;
use schemas::id::CategoryId;
use schemas::rest::import::ProductLine;
use schemas::rest::query::CategoryNode;
use serde_json::Value;

use super::super::elastic::Elastic;
use super::super::workload::{Search as Workload, Shares};

const FACETS: &str = "category,brand,price,rating,in_stock";
const ORDERS: [&str; 4] = ["relevance", "price", "-price", "newest"];
const MOST_WORDS: usize = 3;
/// Words shorter than this are not mistyped.
const LONG_WORD: usize = 5;

type Pairs = Vec<(String, String)>;

#[derive(Debug)]
pub(super) struct Mix(Vec<Search>);

/// A search as a client and as Elasticsearch gets it.
#[derive(Debug)]
pub(super) struct Search {
    pub url: Url,
    pub bodies: Vec<Bytes>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Words,
    WordsWithTypingError,
    WordsWithFacets,
    Sku,
    Category,
    CategoryWithFacets,
    BrandAndPrice,
}

/// Where searches are drawn from.
struct Shop<'a> {
    lines: &'a [ProductLine],
    categories: HashMap<String, CategoryId>,
}

impl Mix {
    pub async fn draw(
        workload: &Workload,
        lines: &[ProductLine],
        http: &reqwest::Client,
        query_svc: &str,
        elastic: &Elastic,
        index: &str,
    ) -> Result<Self> {
        let tree = http
            .get(format!("{query_svc}/v1/categories"))
            .send()
            .await?;
        let tree: Value = tree.error_for_status()?.json().await?;
        let shop = Shop {
            lines,
            categories: paths(&tree)?,
        };
        let mut random = StdRng::seed_from_u64(workload.seed);
        let (kinds, weights) = kinds(workload.shares);
        let weights = WeightedIndex::new(weights).context("shares of searches")?;
        let address = Url::parse(query_svc)?.join("/v1/products")?;
        let mut searches = Vec::with_capacity(workload.searches);
        while searches.len() < workload.searches {
            let kind = kinds[weights.sample(&mut random)];
            let Some(pairs) = shop.draw(kind, &mut random) else {
                continue;
            };
            let mut url = address.clone();
            url.query_pairs_mut().extend_pairs(&pairs);
            let bodies = bodies(&pairs, elastic, index).await?;
            searches.push(Search { url, bodies });
        }
        Ok(Self(searches))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn bodies(&self) -> usize {
        self.0.iter().map(|search| search.bodies.len()).sum()
    }

    pub fn search(&self, number: usize) -> &Search {
        &self.0[number]
    }
}

fn kinds(shares: Shares) -> (Vec<Kind>, Vec<u32>) {
    let kinds = [
        (Kind::Words, shares.words),
        (Kind::WordsWithTypingError, shares.words_with_typing_error),
        (Kind::WordsWithFacets, shares.words_with_facets),
        (Kind::Sku, shares.sku),
        (Kind::Category, shares.category),
        (Kind::CategoryWithFacets, shares.category_with_facets),
        (Kind::BrandAndPrice, shares.brand_and_price),
    ];
    kinds.into_iter().unzip()
}

impl Shop<'_> {
    /// None where the drawn product has nothing to ask for.
    fn draw(&self, kind: Kind, random: &mut StdRng) -> Option<Pairs> {
        let line = self.lines.choose(random)?;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let facets = pair("facets", FACETS);
        Some(match kind {
            Kind::Words => vec![pair("q", &words(line, random)?)],
            Kind::WordsWithTypingError => {
                vec![pair("q", &mistyped(&words(line, random)?, random)?)]
            }
            Kind::WordsWithFacets => vec![pair("q", &words(line, random)?), facets],
            Kind::Sku => vec![pair("q", &line.sku)],
            Kind::Category => {
                let order = ORDERS.choose(random)?;
                vec![
                    pair("category", &self.category(line, random)?),
                    pair("sort", order),
                ]
            }
            Kind::CategoryWithFacets => {
                vec![pair("category", &self.category(line, random)?), facets]
            }
            Kind::BrandAndPrice => {
                let brand = Some(&line.brand).filter(|brand| !brand.is_empty())?;
                let amount = line.price.amount;
                vec![
                    pair("brand", brand),
                    pair("min_price", &(amount / 2).to_string()),
                    pair("max_price", &(amount * 2).to_string()),
                    pair("sort", "price"),
                ]
            }
        })
    }

    /// A category of the product, or one above it.
    fn category(&self, line: &ProductLine, random: &mut StdRng) -> Option<String> {
        let path = line.categories.first()?;
        let levels: Vec<&str> = path.split(" > ").collect();
        let depth = random.random_range(1..=levels.len());
        self.categories
            .get(&levels[..depth].join(" > "))
            .map(CategoryId::to_string)
    }
}

/// Some words of the name, in their order.
fn words(line: &ProductLine, random: &mut StdRng) -> Option<String> {
    let words: Vec<&str> = line.name.split_whitespace().collect();
    let count = random.random_range(1..=MOST_WORDS.min(words.len().max(1)));
    let mut places =
        rand::seq::index::sample(random, words.len(), count.min(words.len())).into_vec();
    places.sort_unstable();
    let text = places
        .into_iter()
        .map(|place| words[place])
        .collect::<Vec<_>>()
        .join(" ");
    let is_searchable = !Words::of(&text).is_empty() && text.chars().count() <= 200;
    is_searchable.then_some(text)
}

/// Two letters of a long word change places.
fn mistyped(text: &str, random: &mut StdRng) -> Option<String> {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let is_long = |word: &&mut String| word.chars().count() >= LONG_WORD;
    let word = words.iter_mut().find(is_long)?;
    let mut letters: Vec<char> = word.chars().collect();
    let place = random.random_range(1..letters.len() - 1);
    letters.swap(place, place + 1);
    *word = letters.into_iter().collect();
    Some(words.join(" "))
}

/// What query-svc sends: asked once now, to know how tolerant each search becomes.
async fn bodies(pairs: &Pairs, elastic: &Elastic, index: &str) -> Result<Vec<Bytes>> {
    let search = match ProductSearch::parse(pairs) {
        Ok(search) => search,
        Err(refused) => bail!("{pairs:?} is not a search: {refused:?}"),
    };
    let words = Words::of(search.text.as_deref().unwrap_or_default());
    let encode = |body: &Body<'_>| serde_json::to_vec(body).map(Bytes::from);
    let start = Start::default();
    let full = |tolerance| encode(&body(&search, tolerance, start));
    let mut tolerance = Tolerance::Exact;
    let mut bodies = vec![full(tolerance)?];
    let mut found = hits(elastic, index, &bodies[0]).await?;
    while let Some(next) = tolerance.after(found, &words) {
        tolerance = next;
        if next.after(0, &words).is_none() {
            break;
        }
        let probe = encode(&probe(&search, next, start))?;
        found = hits(elastic, index, &probe).await?;
        bodies.push(probe);
    }
    if tolerance != Tolerance::Exact {
        bodies.push(full(tolerance)?);
    }
    Ok(bodies)
}

async fn hits(elastic: &Elastic, index: &str, body: &Bytes) -> Result<u64> {
    let answer = elastic.search(index, body.clone()).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["hits"]["total"]["value"].as_u64().unwrap_or(0))
}

/// Every category by its path.
fn paths(tree: &Value) -> Result<HashMap<String, CategoryId>> {
    let roots = tree.get("items").unwrap_or(tree);
    let mut open: Vec<CategoryNode> = serde_json::from_value(roots.clone())?;
    let mut found = HashMap::new();
    while let Some(node) = open.pop() {
        let names: Vec<&str> = node.path.iter().map(|level| level.name.as_str()).collect();
        found.insert(names.join(" > "), node.id);
        open.extend(node.children);
    }
    Ok(found)
}
