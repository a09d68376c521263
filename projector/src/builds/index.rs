//! Indexes of builds: made before they are announced, and told apart by their `_meta`.
//!
//! Two projectors of different versions may take the same number at the same moment. Each would
//! find the other's index under its name: so an index says what it was made for, and a number whose
//! index was made for something else is burnt.

use schemas::view::View;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::version;

/// Settings and mappings of a view's indexes, with the `_meta` of this version.
pub fn index_body(view: View) -> Value {
    let mut body: Value =
        serde_json::from_str(committed(view)).expect("committed mappings are JSON");
    body["mappings"]["_meta"] = index_meta(view);
    body
}

/// What an index says that it was made for: view, projection version, and a hash of settings and
/// mappings.
pub(super) fn index_meta(view: View) -> Value {
    let digest = Sha256::digest(committed(view));
    let mapping: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({"view": view.name(), "version": version(view), "mapping": mapping})
}

fn committed(view: View) -> &'static str {
    match view {
        View::Products => include_str!("../../mappings/products.json"),
        View::Categories => include_str!("../../mappings/categories.json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_says_what_it_was_made_for() {
        for view in View::ALL {
            let meta = &index_body(view)["mappings"]["_meta"];
            assert_eq!(meta["view"], view.name());
            assert_eq!(meta["version"], view.version());
        }
        let of = |view| index_meta(view)["mapping"].clone();
        assert_ne!(of(View::Products), of(View::Categories));
    }
}
