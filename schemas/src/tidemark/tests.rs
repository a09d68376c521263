//! Laws of the token.
