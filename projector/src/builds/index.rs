//! Indexes of builds: made before they are announced, and told apart by their `_meta`.
//!
//! Two projectors of different versions may take the same number at the same moment. Each would
//! find the other's index under its name: so an index says what it was made for, and a number whose
//! index was made for something else is burnt.

use schemas::view::View;
use serde_json::{Value, json};

use crate::version::version;

/// Settings and mappings of a view's indexes, with the `_meta` of this version.
pub fn index_body(view: View) -> Value {
    let mut body: Value =
        serde_json::from_str(view.mapping()).expect("committed mappings are JSON");
    body["mappings"]["_meta"] = index_meta(view);
    body
}

/// What an index says that it was made for: view, projection version, and a hash of settings and
/// mappings.
pub(super) fn index_meta(view: View) -> Value {
    json!({"view": view.name(), "version": version(view), "mapping": view.mapping_hash()})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_index_says_what_it_was_made_for() {
        for view in View::ALL {
            let meta = &index_body(view)["mappings"]["_meta"];
            assert_eq!(meta["view"], view.name());
            assert_eq!(meta["version"], view.version());
        }
        let hashes: BTreeSet<_> = View::ALL
            .map(|view| index_meta(view)["mapping"].to_string())
            .into();
        assert_eq!(hashes.len(), View::ALL.len());
    }
}
