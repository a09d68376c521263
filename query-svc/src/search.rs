//! Searches: parameters, request bodies, pages, cursors.
//!
//! All of it is pure except `paging`, which reads pages and holds their points in time.

pub mod categories;
pub mod cursor;
pub mod facets;
pub mod page;
pub mod paging;
pub mod parameters;
pub mod products;
pub mod query;
pub mod suggest;
pub mod text;
pub mod words;

pub use cursor::{Cursor, Point};
pub use paging::{Page, Paging};
pub use parameters::{Facet, ProductSearch, Refused, Sort, SuggestSearch};
pub use text::Tolerance;
