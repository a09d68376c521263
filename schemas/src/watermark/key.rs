//! Keys of the watermark topic, as text. Compaction keeps the newest record under each.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

const KINDS: [&str; 5] = ["watermark", "announced", "switch", "retired", "wish"];

/// Key of a record. A null value under a key takes it away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Watermark {
        view: String,
        build: u32,
        partition: i32,
    },
    Announced {
        view: String,
        build: u32,
    },
    /// One key for each switch that ever was, so that all stay.
    Switch {
        view: String,
        switch: Uuid,
    },
    /// A key for each record too: under one for the build, compaction would take away the record
    /// that counts when one that is void, or says the same again, follows.
    Retired {
        view: String,
        build: u32,
        /// Nil in records of the first release, whose keys have none.
        retired: Uuid,
    },
    Wish {
        view: String,
        wish: Uuid,
    },
}

impl Key {
    /// True where the text begins like a key that this version knows, even if the rest of it does
    /// not fit. A newer Tidemark's kinds have other beginnings.
    pub fn is_of_known_kind(text: &[u8]) -> bool {
        let kind = text.split(|byte| *byte == b'/').next().unwrap_or_default();
        KINDS.iter().any(|known| known.as_bytes() == kind)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watermark {
                view,
                build,
                partition,
            } => {
                write!(f, "watermark/{view}/{build}/{partition}")
            }
            Self::Announced { view, build } => write!(f, "announced/{view}/{build}"),
            Self::Switch { view, switch } => write!(f, "switch/{view}/{switch}"),
            Self::Retired {
                view,
                build,
                retired,
            } if retired.is_nil() => write!(f, "retired/{view}/{build}"),
            Self::Retired {
                view,
                build,
                retired,
            } => write!(f, "retired/{view}/{build}/{retired}"),
            Self::Wish { view, wish } => write!(f, "wish/{view}/{wish}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a key of the watermark topic")]
pub struct KeyError(pub String);

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || KeyError(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let number = |part: &str| part.parse::<u32>().map_err(|_| error());
        let id = |part: &str| part.parse::<Uuid>().map_err(|_| error());
        match parts[..] {
            ["watermark", view, build, partition] => Ok(Self::Watermark {
                view: view.into(),
                build: number(build)?,
                partition: partition.parse().map_err(|_| error())?,
            }),
            ["announced", view, build] => Ok(Self::Announced {
                view: view.into(),
                build: number(build)?,
            }),
            ["switch", view, switch] => Ok(Self::Switch {
                view: view.into(),
                switch: id(switch)?,
            }),
            ["retired", view, build] => Ok(Self::Retired {
                view: view.into(),
                build: number(build)?,
                retired: Uuid::nil(),
            }),
            ["retired", view, build, retired] => Ok(Self::Retired {
                view: view.into(),
                build: number(build)?,
                retired: id(retired)?,
            }),
            ["wish", view, wish] => Ok(Self::Wish {
                view: view.into(),
                wish: id(wish)?,
            }),
            _ => Err(error()),
        }
    }
}
