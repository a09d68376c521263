//! `tidemark token`: a bearer token, alone on stdout.

use std::time::Duration;

use anyhow::{Context, Result};
use chassis::{
    auth::{self, Role},
    clock,
};
use uuid::Uuid;

use crate::{
    cli::{Signing, Token},
    output,
};

const VALID: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn run(args: &Token) -> Result<()> {
    let sub = args.sub.unwrap_or_else(clock::new_id);
    output::line(mint(&args.signing, args.role, sub)?);
    Ok(())
}

/// A token of a member of staff, for what the commands do themselves.
pub(super) fn staff(signing: &Signing) -> Result<String> {
    mint(signing, Role::Admin, clock::new_id())
}

fn mint(signing: &Signing, role: Role, sub: Uuid) -> Result<String> {
    auth::mint(&signing.jwt_secret, role, sub, VALID).context("signing the token")
}
