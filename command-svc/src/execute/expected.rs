//! Which version of a resource a client has seen, and so expects to change.

/// `If-Match`, as far as it concerns stream versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// Decide on whatever is there.
    #[default]
    Nothing,
    /// Something has to be there.
    Anything,
    /// One of these; none of them where only weak or foreign tags were given.
    Versions(Vec<u64>),
}

impl Expected {
    /// What is to be created is not there yet: no tag matches it, and no star.
    pub fn allows_creation(&self) -> bool {
        *self == Self::Nothing
    }

    pub fn allows(&self, current: u64) -> bool {
        match self {
            Self::Nothing | Self::Anything => true,
            Self::Versions(versions) => versions.contains(&current),
        }
    }
}
