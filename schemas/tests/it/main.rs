//! What is committed beside the code: golden files, JSON Schemas, test vectors.
//!
//! They are promises to other programs, so a change of one is never an accident. The schemas are
//! written anew by `UPDATE_SCHEMAS=1 cargo test -p schemas --test it the_json_schemas`, and the
//! mapping of a new version of a view is entered by `UPDATE_SCHEMAS=1 … --test it a_mapping`.
#![expect(
    clippy::unwrap_used,
    reason = "the lint knows test functions, but not what they share"
)]

mod docs;
mod events;
mod files;
mod model;
mod operations;
mod records;
mod tokens;
mod views;
mod watermarks;
