//! Elasticsearch queries as types. A search has dozens of clauses, and building them as JSON values
//! would cost more than the rest of the request.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    MatchNone {},
    Bool(Bool),
    DisMax {
        tie_breaker: f64,
        queries: Vec<Query>,
    },
    Term(On<Term>),
    /// Any of these values.
    Terms(On<Vec<String>>),
    Range(On<Range>),
    Match(On<Match>),
    MatchPhrase(On<Phrase>),
    /// The last token is a prefix.
    MatchPhrasePrefix(On<Phrase>),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Bool {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Query>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub must: Vec<Query>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub should: Vec<Query>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_should_match: Option<&'static str>,
}

/// A condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub struct On<T> {
    pub field: String,
    pub is: T,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Term {
    pub value: Exactly,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boost: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Exactly {
    Text(String),
    Bool(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Bound {
    Whole(i64),
    Fraction(f64),
}

/// Bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Range {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gte: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lte: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    pub query: String,
    pub operator: &'static str,
    pub auto_generate_synonyms_phrase_query: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    pub boost: f64,
}

/// Which typing errors are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    pub fuzziness: &'static str,
    pub prefix_length: u32,
    pub max_expansions: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phrase {
    pub query: String,
    pub slop: u32,
    pub boost: f64,
}

impl Query {
    pub fn filter(filter: Vec<Self>) -> Self {
        Self::Bool(Bool {
            filter,
            ..Bool::default()
        })
    }

    pub fn must(must: Vec<Self>) -> Self {
        Self::Bool(Bool {
            must,
            ..Bool::default()
        })
    }

    pub fn should(should: Vec<Self>, at_least: Option<&'static str>) -> Self {
        Self::Bool(Bool {
            should,
            minimum_should_match: at_least,
            ..Bool::default()
        })
    }

    /// The best match counts; the others break ties.
    pub fn best_of(queries: Vec<Self>) -> Self {
        Self::DisMax {
            tie_breaker: 0.1,
            queries,
        }
    }

    pub fn is(field: &str, value: impl Into<Exactly>) -> Self {
        Self::Term(On::new(
            field,
            Term {
                value: value.into(),
                boost: None,
            },
        ))
    }

    pub fn is_weighted(field: &str, value: impl Into<Exactly>, boost: f64) -> Self {
        let (value, boost) = (value.into(), Some(boost));
        Self::Term(On::new(field, Term { value, boost }))
    }

    pub fn any_of(field: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self::Terms(On::new(field, values.into_iter().collect()))
    }

    /// All tokens of `text`. Most words are one token; `usb-c` is two.
    pub fn all_of(field: &str, text: &str, boost: f64) -> Self {
        Self::Match(On::new(field, Match::of(text, None, boost)))
    }

    /// The same with typing errors, except in the first letter.
    pub fn fuzzy(field: &str, text: &str, boost: f64) -> Self {
        let errors = Errors {
            fuzziness: "AUTO:4,8",
            prefix_length: 1,
            max_expansions: 30,
        };
        Self::Match(On::new(field, Match::of(text, Some(errors), boost)))
    }

    /// The tokens of `text` in order, with at most `slop` moves.
    pub fn phrase(field: &str, text: &str, slop: u32, boost: f64) -> Self {
        let query = text.to_owned();
        Self::MatchPhrase(On::new(field, Phrase { query, slop, boost }))
    }

    /// The tokens of `text`, the last one as a prefix.
    pub fn prefix(field: &str, text: &str, boost: f64) -> Self {
        let (query, slop) = (text.to_owned(), 0);
        Self::MatchPhrasePrefix(On::new(field, Phrase { query, slop, boost }))
    }
}

impl Match {
    fn of(text: &str, errors: Option<Errors>, boost: f64) -> Self {
        Self {
            query: text.to_owned(),
            operator: "and",
            auto_generate_synonyms_phrase_query: false,
            errors,
            boost,
        }
    }
}

impl<T> On<T> {
    pub fn new(field: &str, is: T) -> Self {
        Self {
            field: field.to_owned(),
            is,
        }
    }
}

impl<T: Serialize> Serialize for On<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.field, &self.is)?;
        map.end()
    }
}

impl From<&str> for Exactly {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Exactly {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Bound {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<f64> for Bound {
    fn from(number: f64) -> Self {
        Self::Fraction(number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_read_as_elasticsearch_wants_them() {
        let query = Query::Bool(Bool {
            filter: vec![Query::is("listed", true)],
            must: vec![Query::fuzzy("name", "lammp", 2.0)],
            should: vec![Query::prefix("name.plain", "la", 1.0), Query::MatchNone {}],
            minimum_should_match: Some("100%"),
        });
        let expected = json!({ "bool": {
            "filter": [{ "term": { "listed": { "value": true } } }],
            "must": [{ "match": { "name": {
                "query": "lammp",
                "operator": "and",
                "auto_generate_synonyms_phrase_query": false,
                "fuzziness": "AUTO:4,8",
                "prefix_length": 1,
                "max_expansions": 30,
                "boost": 2.0,
            } } }],
            "should": [
                { "match_phrase_prefix": { "name.plain": { "query": "la", "slop": 0, "boost": 1.0 } } },
                { "match_none": {} },
            ],
            "minimum_should_match": "100%",
        } });
        assert_eq!(serde_json::to_value(&query).unwrap(), expected);
    }
}
