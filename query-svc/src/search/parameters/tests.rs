//! Parameters as clients send them, good and bad.

use super::*;

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = query.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn refused(query: &[(&str, &str)]) -> Vec<String> {
    let refused = ProductSearch::parse(&pairs(query)).unwrap_err();
    refused
        .into_iter()
        .map(|refused| refused.parameter)
        .collect()
}

#[test]
fn nothing_asked_is_everything_in_pages_of_twenty() {
    let search = ProductSearch::parse(&[]).unwrap();
    assert_eq!(search.limit, 20);
    assert_eq!((search.text, search.filters), (None, Filters::default()));
}

#[test]
fn every_parameter_is_read() {
    let search = ProductSearch::parse(&pairs(&[
        ("q", " lamp "),
        ("category", "018f3e3c-7b1a-7c4d-8e5f-0123456789ab"),
        ("brand", "Apple"),
        ("brand", "LG"),
        ("min_price", "100"),
        ("max_price", "100"),
        ("in_stock", "true"),
        ("min_rating", "4.5"),
        ("attr.color", "red"),
        ("attr.size.eu", "42"),
        ("sort", "-price"),
        ("facets", "brand, price"),
        ("limit", "100"),
        ("cursor", "abc"),
    ]));
    let search = search.unwrap();
    assert_eq!(search.text.as_deref(), Some("lamp"));
    assert_eq!(search.filters.brands, ["Apple", "LG"]);
    assert_eq!(search.filters.attributes["size.eu"], ["42"]);
    assert_eq!(search.sort, Sort::PriceDescending);
    assert_eq!(search.facets, BTreeSet::from([Facet::Brand, Facet::Price]));
}

#[test]
fn every_bad_parameter_is_named() {
    let bad = refused(&[
        ("category", "shoes"),
        ("min_price", "-1"),
        ("max_price", "1.5"),
        ("in_stock", "yes"),
        ("min_rating", "NaN"),
        ("sort", "cheapest"),
        ("facets", "brand,colour"),
        ("limit", "0"),
        ("attr.", "x"),
        ("colour", "red"),
    ]);
    let names = "category min_price max_price in_stock min_rating sort facets limit attr. colour";
    assert_eq!(bad, names.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_parameter_is_given_once_but_for_the_filters_with_choices() {
    assert_eq!(refused(&[("q", "a"), ("q", "b")]), ["q"]);
    assert!(ProductSearch::parse(&pairs(&[("attr.a", "1"), ("attr.a", "2")])).is_ok());
}

#[test]
fn whatever_may_be_stored_may_be_asked_for() {
    for (name, longest) in [("q", 20_000), ("brand", 200), ("attr.a", 2_000)] {
        let asked = [(name, "é".repeat(longest)), (name, "é".repeat(longest + 1))];
        let [stored, longer] =
            asked.map(|(name, value)| ProductSearch::parse(&[(name.to_owned(), value)]).is_ok());
        assert_eq!((stored, longer), (true, false), "{name}");
    }
    let attribute = format!("attr.{}", "é".repeat(100));
    assert!(ProductSearch::parse(&[(attribute, "x".to_owned())]).is_ok());
}

#[test]
fn filters_meet_the_stored_forms() {
    let search = ProductSearch::parse(&pairs(&[
        ("q", "cafe\u{301}\u{7}bar"),
        ("brand", " Cafe\u{301} \u{a0}Noir\u{99}"),
        ("attr. size \u{3000}eu", "e\u{301}"),
    ]))
    .unwrap();
    assert_eq!(search.text.as_deref(), Some("caf\u{e9} bar"));
    assert_eq!(search.filters.brands, ["Caf\u{e9} Noir"]);
    assert_eq!(search.filters.attributes["size eu"], ["\u{e9}"]);
}

#[test]
fn the_cheapest_is_not_dearer_than_the_dearest() {
    let bad = refused(&[("min_price", "2"), ("max_price", "1")]);
    assert_eq!(bad, ["max_price"]);
}

#[test]
fn suggestions_need_what_was_typed() {
    let refused = SuggestSearch::parse(&[]).unwrap_err();
    assert_eq!(refused, [Refused::new("q", "required")]);
    let search = SuggestSearch::parse(&pairs(&[("q", " la ")])).unwrap();
    assert_eq!((search.text.as_str(), search.limit), ("la", 8));
}
