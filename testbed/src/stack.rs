//! Stacks: three servers under one supervisor process.
//! `shared` is for most tests, `Stack` for those that break servers, `local` is `tidemark up`'s.
//! A user of a stack holds something that the kernel takes back when the process dies (a lock or
//! a pipe), so a killed test never leaves servers behind.

mod client;
mod control;
mod local;
mod private;
mod shared;
pub(crate) mod spec;
pub(crate) mod supervisor;
mod wishes;

pub use self::{
    local::{LocalServer, LocalStack, LocalStatus},
    private::{Stack, StackOptions},
    shared::{SharedStack, shared},
};
pub use crate::{
    endpoints::Endpoints,
    ports::Ports,
    security::Security,
    server::{ELASTICSEARCH_SETTINGS, KAFKA_SETTINGS, POSTGRES_SETTINGS, Server},
};
