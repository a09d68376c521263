//! The query that finds products by words: each word in any field, better fields first.
//!
//! A word counts once, where it matches best, so the words may be in different fields. If a search
//! finds too little, it is repeated with typing errors, and then with words missing.

use schemas::text::sku_key;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::words::{Words, can_be_mistyped, has_digit};

/// With fewer hits than this, a search is repeated with more tolerance.
pub const FEW_HITS: u64 = 3;

/// Fields and the weight of a match in each, best first.
const FIELDS: [(&str, f64); 5] = [
    ("name", 4.0),
    ("brand.text", 3.0),
    ("categories.path.name", 2.0),
    ("attribute_values", 1.5),
    ("description", 0.6),
];
/// Fields in which two words of the query may match as one, or one as two.
const JOINED_FIELDS: [(&str, f64); 3] = [
    ("name", 2.5),
    ("brand.text", 2.5),
    ("categories.path.name", 1.2),
];
/// Fields in which a mistyped word may match. Unstemmed fields are among them, because stemming can
/// add to the errors.
const FUZZY_FIELDS: [(&str, f64); 4] = [
    ("name.plain", 1.0),
    ("name", 0.9),
    ("brand.plain", 0.8),
    ("anywhere", 0.2),
];
/// Fields in which the last word may match as a prefix.
const PREFIX_FIELDS: [(&str, f64); 2] = [("name.plain", 1.5), ("brand.plain", 1.2)];

const SKU_WORD_BOOST: f64 = 20.0;
const SKU_BOOST: f64 = 1000.0;
const PHRASE_BOOST: f64 = 3.0;
const ALL_IN_NAME_BOOST: f64 = 1.0;
/// Only orders hits that are equal otherwise.
const IN_STOCK_BOOST: f64 = 0.1;

/// How much a hit may differ from the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// Every word as typed, in any form; the last may be a prefix.
    Exact,
    /// Every word, with typing errors.
    Fuzzy,
    /// Most of the words, with typing errors.
    Loose,
}

impl Tolerance {
    /// The tolerance to try after a search with `hits` hits; none if it would change nothing.
    pub fn after(self, hits: u64, words: &Words) -> Option<Self> {
        let fuzzy = words.iter().any(can_be_mistyped);
        let loose = hits == 0 && words.len() > 1;
        match self {
            Self::Exact if hits < FEW_HITS && fuzzy => Some(Self::Fuzzy),
            Self::Exact | Self::Fuzzy if loose => Some(Self::Loose),
            _ => None,
        }
    }
}

/// Clauses of a bool query: what must match, and what raises the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    pub must: Query,
    pub should: Vec<Query>,
}

/// The clauses that find products by `text`.
pub fn matching(text: &str, words: &Words, tolerance: Tolerance) -> Matching {
    if words.is_empty() {
        return Matching {
            must: Query::MatchNone {},
            should: Vec::new(),
        };
    }
    let clauses = (0..words.len()).map(|index| word_clause(words, index, tolerance));
    let at_least = match tolerance {
        Tolerance::Exact | Tolerance::Fuzzy => "100%",
        Tolerance::Loose => "1<-1 3<60%",
    };
    let by_words = Query::should(clauses.collect(), Some(at_least));
    let by_sku = by_sku(text, SKU_BOOST);
    let mut should = vec![Query::is_weighted("in_stock", true, IN_STOCK_BOOST)];
    if words.len() > 1 {
        let together = words.together();
        should.push(Query::phrase("name", &together, 1, PHRASE_BOOST));
        should.push(Query::all_of("name", &together, ALL_IN_NAME_BOOST));
    }
    Matching {
        must: Query::should(vec![by_words, by_sku], Some("1")),
        should,
    }
}

/// The query that marks the matching words of a field in a hit.
pub fn marking(field: &str, words: &Words, tolerance: Tolerance) -> Query {
    if words.is_empty() {
        return Query::MatchNone {};
    }
    let mut marks = Vec::new();
    for (index, word) in words.iter().enumerate() {
        marks.push(if tolerance > Tolerance::Exact && can_be_mistyped(word) {
            Query::fuzzy(field, word, 1.0)
        } else {
            Query::all_of(field, word, 1.0)
        });
        if !words.is_last(index) {
            let joined = words.joined_at(index).pop();
            marks.extend(joined.map(|joined| Query::all_of(field, &joined, 1.0)));
        } else if may_go_on(word) {
            marks.push(Query::prefix(field, word, 1.0));
        }
    }
    Query::should(marks, None)
}

/// A sku in any form with the same key, or without its accents.
fn by_sku(text: &str, boost: f64) -> Query {
    Query::best_of(vec![
        Query::is_weighted("sku", text.trim(), boost),
        Query::is_weighted("sku_key", sku_key(text).as_str(), boost),
    ])
}

fn word_clause(words: &Words, index: usize, tolerance: Tolerance) -> Query {
    let word = words.iter().nth(index).unwrap_or_default();
    let mut ways = Vec::with_capacity(20);
    ways.extend(FIELDS.map(|(field, boost)| Query::all_of(field, word, boost)));
    ways.push(Query::all_of("joined", word, 2.0));
    for joined in words.joined_at(index) {
        ways.extend(JOINED_FIELDS.map(|(field, boost)| Query::all_of(field, &joined, boost)));
    }
    if has_digit(word) {
        ways.push(by_sku(word, SKU_WORD_BOOST));
        ways.push(Query::all_of("anywhere", word, 0.2));
    }
    if words.is_last(index) && may_go_on(word) {
        ways.extend(PREFIX_FIELDS.map(|(field, boost)| Query::prefix(field, word, boost)));
    }
    if tolerance > Tolerance::Exact && can_be_mistyped(word) {
        ways.extend(FUZZY_FIELDS.map(|(field, boost)| Query::fuzzy(field, word, boost)));
    }
    Query::best_of(ways)
}

/// A single digit is more often a number than a prefix.
fn may_go_on(word: &str) -> bool {
    word.chars().count() > 1 || !has_digit(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn must(text: &str, tolerance: Tolerance) -> String {
        let must = matching(text, &Words::of(text), tolerance).must;
        serde_json::to_string(&must).unwrap()
    }

    #[test]
    fn typing_errors_are_forgiven_only_when_asked_for_and_never_in_numbers() {
        assert!(!must("batery", Tolerance::Exact).contains("fuzziness"));
        assert!(must("batery", Tolerance::Fuzzy).contains("fuzziness"));
        assert!(!must("EL-00904", Tolerance::Fuzzy).contains("fuzziness"));
    }

    #[test]
    fn only_the_last_word_may_be_the_beginning_of_one() {
        let must = must("otter bo", Tolerance::Exact);
        assert_eq!(
            must.matches("match_phrase_prefix").count(),
            PREFIX_FIELDS.len()
        );
        assert!(must.contains(r#""query":"bo""#));
    }

    #[test]
    fn a_search_grows_more_tolerant_only_while_little_is_found() {
        let words = Words::of("batery case");
        assert_eq!(Tolerance::Exact.after(3, &words), None);
        assert_eq!(Tolerance::Exact.after(2, &words), Some(Tolerance::Fuzzy));
        assert_eq!(Tolerance::Fuzzy.after(2, &words), None);
        assert_eq!(Tolerance::Fuzzy.after(0, &words), Some(Tolerance::Loose));
        assert_eq!(Tolerance::Loose.after(0, &words), None);
    }

    #[test]
    fn what_cannot_be_mistyped_skips_that_step() {
        assert_eq!(Tolerance::Exact.after(1, &Words::of("EL-1 EL-2")), None);
        let loose = Tolerance::Exact.after(0, &Words::of("EL-1 EL-2"));
        assert_eq!(loose, Some(Tolerance::Loose));
        assert_eq!(Tolerance::Exact.after(0, &Words::of("EL-1")), None);
    }

    #[test]
    fn text_without_words_finds_nothing() {
        assert_eq!(must("((( 🔋", Tolerance::Exact), r#"{"match_none":{}}"#);
    }
}
