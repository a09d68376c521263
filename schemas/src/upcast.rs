//! Old versions of events become today's, one version at a time.
//!
//! A published event never changes; when a type gets a new version, a step from the version before
//! is added here and the golden file of the old one stays as its test.

use serde_json::Value;

/// Lifts the data of a known type and version to the newest version of that type.
///
/// No type has a second version yet, so there is no step: data of version 1 is today's.
pub fn to_newest(_type_name: &str, _version: u16, data: Value) -> Value {
    data
}
