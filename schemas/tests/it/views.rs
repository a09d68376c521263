//! The mapping of a view under a version that was rolled out stays as it is, to the byte.
//!
//! An index says by a hash which mapping it was made from. With another mapping under the same
//! version, projectors would take each other's indexes for foreign ones and burn build numbers.

use std::collections::BTreeMap;

use schemas::view::View;

use crate::files;

const PUBLISHED: &str = "golden/mappings.json";

/// Hashes of mappings by view and version.
type Published = BTreeMap<String, BTreeMap<u32, String>>;

#[test]
fn a_mapping_changes_only_with_the_version_of_its_view() {
    let mut published: Published = files::read(PUBLISHED);
    for view in View::ALL {
        let versions = published.entry(view.name().to_owned()).or_default();
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            let unpublished = versions.entry(view.version());
            unpublished.or_insert_with(|| view.mapping_hash());
        }
        let (name, version) = (view.name(), view.version());
        assert_eq!(
            versions.get(&version),
            Some(&view.mapping_hash()),
            "{name}: raise its VERSION, or, if {version} was never rolled out, take it out of \
             {PUBLISHED}; UPDATE_SCHEMAS=1 enters what is missing"
        );
    }
    files::assert_generated(PUBLISHED, &published);
}
