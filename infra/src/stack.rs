//! Stacks: three servers under one supervisor process.
//! `shared` is for most tests, `Stack` for those that break servers, `local` is `tidemark up`'s.
//! Whoever uses a stack holds something that the kernel takes back when the process dies (a lock or
//! a pipe), so a killed test never leaves servers behind.

mod client;
mod control;
mod endpoints;
mod local;
mod private;
mod security;
mod shared;
pub(crate) mod spec;
pub(crate) mod supervisor;
mod wishes;

pub(crate) use self::client::{bound_by, command};
pub use self::{
    endpoints::Endpoints,
    local::{LocalServer, LocalStack, LocalStatus},
    private::{Stack, StackOptions},
    security::Security,
    shared::{SharedStack, shared},
};
pub use crate::{
    ports::Ports,
    server::{ELASTICSEARCH_SETTINGS, KAFKA_SETTINGS, POSTGRES_SETTINGS, Server},
};
