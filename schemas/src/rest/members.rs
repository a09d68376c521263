//! Objects whose members are data: a name that is given twice is refused, not overwritten.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::command::Patch;

/// For `deserialize_with`.
pub fn unique<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(UniqueMembers(PhantomData))
}

/// The same for a member of a merge patch.
pub fn unique_patch<'de, D, V>(deserializer: D) -> Result<Patch<BTreeMap<String, V>>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Members<V>(BTreeMap<String, V>);

    impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            unique(deserializer).map(Self)
        }
    }

    let members = Option::<Members<V>>::deserialize(deserializer)?;
    Ok(members.map_or(Patch::Null, |Members(members)| Patch::Value(members)))
}

struct UniqueMembers<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueMembers<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match members.entry(name) {
                Entry::Vacant(vacant) => {
                    vacant.insert(map.next_value()?);
                }
                Entry::Occupied(_) => map.next_value_seed(Repeated)?,
            }
        }
        Ok(members)
    }
}

/// Refuses a value at its own place, so that the error names the member.
struct Repeated;

impl<'de> DeserializeSeed<'de> for Repeated {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom("given more than once"))
    }
}
