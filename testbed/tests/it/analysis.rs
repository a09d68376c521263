//! The analysis components that the trimmed Elasticsearch lacks work under their stock names.

use rstest::rstest;
use serde_json::{Value, json};
use testbed::{namespace::Namespace, stack};

use crate::servers::{get, http, put};

/// The tokens of `text`, or the server's complaint.
async fn analyze(elasticsearch: &str, request: &Value) -> Vec<String> {
    let url = format!("{elasticsearch}/_analyze");
    let answer: Value = http()
        .post(url)
        .json(request)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let tokens = answer["tokens"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    tokens
        .iter()
        .map(|token| token["token"].as_str().unwrap().to_owned())
        .collect()
}

#[rstest]
#[case::asciifolding(json!(["asciifolding"]), "Café Ünï", "Cafe Uni")]
#[case::asciifolding_keeps(
    json!([{ "type": "asciifolding", "preserve_original": true }]), "café", "cafe café")]
#[case::porter_stem(json!(["porter_stem"]), "running shoes", "run shoe")]
#[case::english(json!([{ "type": "stemmer", "language": "english" }]), "running shoes", "run shoe")]
#[case::light_english(json!([{ "type": "stemmer", "language": "light_english" }]), "shoes", "shoe")]
#[case::possessive(
    json!([{ "type": "stemmer", "language": "possessive_english" }]), "runner's", "runner")]
#[case::synonym_graph(
    json!(["lowercase", { "type": "synonym_graph", "synonyms": ["sneaker => trainer"] }]),
    "Sneaker", "trainer")]
#[case::synonym(
    json!(["lowercase", { "type": "synonym", "synonyms": ["tv, telly"] }]), "TV", "tv telly")]
#[case::edge_ngram(
    json!([{ "type": "edge_ngram", "min_gram": 2, "max_gram": 4 }]), "shoes", "sh sho shoe")]
#[case::ngram(
    json!([{ "type": "ngram", "min_gram": 2, "max_gram": 2 }]), "shoe", "sh ho oe")]
#[case::word_delimiter_graph(json!(["word_delimiter_graph"]), "WiFi500", "Wi Fi 500")]
#[case::unique(json!(["unique"]), "a b a", "a b")]
#[case::length(json!([{ "type": "length", "min": 2 }]), "a bb", "bb")]
#[case::truncate(json!([{ "type": "truncate", "length": 3 }]), "abcdef", "abc")]
#[case::elision(json!([{ "type": "elision", "articles": ["l"] }]), "l'avion", "avion")]
#[case::apostrophe(json!(["apostrophe"]), "Ankara'da", "Ankara")]
#[tokio::test]
async fn a_token_filter_works(#[case] filters: Value, #[case] text: &str, #[case] tokens: &str) {
    let stack = stack::shared().await.unwrap();
    let request = json!({ "tokenizer": "standard", "filter": filters, "text": text });
    let found = analyze(&stack.endpoints().elasticsearch, &request).await;
    assert_eq!(found.join(" "), tokens);
}

#[rstest]
#[case::english_analyzer(json!({ "analyzer": "english" }), "the running shoes", "run|shoe")]
#[case::html_strip(
    json!({ "tokenizer": "standard", "char_filter": ["html_strip"] }), "<b>bold</b> move", "bold|move")]
#[case::mapping(
    json!({ "tokenizer": "keyword", "char_filter": [{ "type": "mapping", "mappings": ["& => and"] }] }),
    "a & b", "a and b")]
#[case::pattern_replace(
    json!({ "tokenizer": "keyword",
            "char_filter": [{ "type": "pattern_replace", "pattern": "\\d", "replacement": "#" }] }),
    "a1b2", "a#b#")]
#[case::edge_ngram_tokenizer(
    json!({ "tokenizer": { "type": "edge_ngram", "min_gram": 1, "max_gram": 2, "token_chars": ["letter"] } }),
    "ab cd", "a|ab|c|cd")]
#[case::pattern_tokenizer(json!({ "tokenizer": { "type": "pattern", "pattern": "," } }), "a,b c", "a|b c")]
#[case::char_group_tokenizer(
    json!({ "tokenizer": { "type": "char_group", "tokenize_on_chars": ["whitespace", "-"] } }),
    "a-b c", "a|b|c")]
#[tokio::test]
async fn another_component_works(
    #[case] mut request: Value,
    #[case] text: &str,
    #[case] tokens: &str,
) {
    let stack = stack::shared().await.unwrap();
    request["text"] = text.into();
    let found = analyze(&stack.endpoints().elasticsearch, &request).await;
    assert_eq!(found.join("|"), tokens);
}

#[tokio::test]
async fn an_index_with_stock_settings_finds_what_it_should() {
    let stack = stack::shared().await.unwrap();
    let endpoints = stack.endpoints();
    let namespace = Namespace::create(endpoints).await.unwrap();
    let index = format!("{}products", namespace.prefix);
    put(endpoints, &index, &stock_settings()).await;
    let document = json!({ "name": "Crème brûlée television sets", "sku": "ÄB-1" });
    put(
        endpoints,
        &format!("{index}/_doc/1?refresh=true"),
        &document,
    )
    .await;
    for query in ["name:creme", "name:tv", "name:set", "sku:ab\\-1"] {
        let path = format!("{index}/_search?q={query}");
        let found = get(endpoints, &path).await.unwrap();
        assert_eq!(found["hits"]["total"]["value"], 1, "{query}");
    }
}

fn stock_settings() -> Value {
    json!({
        "settings": { "number_of_replicas": 0, "analysis": {
            "filter": {
                "possessive": { "type": "stemmer", "language": "possessive_english" },
                "english": { "type": "stemmer", "language": "english" },
                "same": { "type": "synonym_graph", "synonyms": ["tv, television set"] }
            },
            "normalizer": { "folded": { "type": "custom", "filter": ["lowercase", "asciifolding"] } },
            "analyzer": {
                "text": { "tokenizer": "standard",
                          "filter": ["possessive", "lowercase", "asciifolding", "english"] },
                "asked": { "tokenizer": "standard",
                           "filter": ["possessive", "lowercase", "asciifolding", "same", "english"] }
            }
        } },
        "mappings": { "properties": {
            "name": { "type": "text", "analyzer": "text", "search_analyzer": "asked" },
            "sku": { "type": "keyword", "normalizer": "folded" }
        } }
    })
}
