//! Parameters with a fixed set of values.

use serde::Serialize;

macro_rules! choices {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$mark:meta])? $variant:ident = $wire:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum $name { $($(#[$mark])? $variant),+ }

        impl $name {
            const NAMES: &'static str = concat!($($wire, " "),+);

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }

            pub(super) fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($wire => Ok(Self::$variant),)+
                    _ => Err(format!("one of: {}", Self::NAMES.trim_end().replace(' ', ", "))),
                }
            }
        }
    };
}

choices! {
    /// The order of hits; equal hits are ordered by id.
    #[derive(Default)]
    Sort {
        #[default]
        Relevance = "relevance",
        Price = "price",
        PriceDescending = "-price",
        Rating = "rating",
        Newest = "newest",
        Name = "name",
    }
}

choices! {
    /// What hits are counted by.
    Facet {
        Category = "category",
        Brand = "brand",
        Price = "price",
        Rating = "rating",
        InStock = "in_stock",
    }
}
