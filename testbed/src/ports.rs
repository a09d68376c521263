//! The ports of a stack, all on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::process;

/// Free ports are sought below those that the kernel gives to outgoing connections, so that a
/// stopped server finds its port free when it starts again.
const FREE: std::ops::Range<u16> = 20_000..32_000;

/// Where each server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub postgres: u16,
    pub kafka: u16,
    pub kafka_controller: u16,
    pub elasticsearch: u16,
    pub elasticsearch_transport: u16,
}

impl Ports {
    /// Those of `tidemark up`: beside the servers' usual ones, which may be taken.
    pub const FIXED: Self = Self {
        postgres: 55432,
        kafka: 59092,
        kafka_controller: 59093,
        elasticsearch: 59200,
        elasticsearch_transport: 59300,
    };

    /// Ports that nobody listens on now.
    pub fn free() -> Result<Self> {
        let mut taken = Vec::new();
        Ok(Self {
            postgres: free_port(&mut taken)?,
            kafka: free_port(&mut taken)?,
            kafka_controller: free_port(&mut taken)?,
            elasticsearch: free_port(&mut taken)?,
            elasticsearch_transport: free_port(&mut taken)?,
        })
    }

    /// Says which port is taken, and by whom if that can be seen.
    pub fn check(self) -> Result<()> {
        let all = [
            ("PostgreSQL", self.postgres),
            ("Kafka", self.kafka),
            ("Kafka's controller", self.kafka_controller),
            ("Elasticsearch", self.elasticsearch),
            ("Elasticsearch's transport", self.elasticsearch_transport),
        ];
        all.into_iter()
            .try_for_each(|(name, port)| check_port(name, port))
    }
}

/// Fails when a process of this name could not listen there.
pub fn check_port(name: &str, port: u16) -> Result<()> {
    if listen(port).is_ok() {
        return Ok(());
    }
    match process::listener(port) {
        Some(owner) => bail!("port {port}, which {name} needs, is in use by {owner}: end it"),
        None => bail!("port {port}, which {name} needs, is in use by a process of another user"),
    }
}

/// A port that nobody listens on now.
pub fn any_free() -> Result<u16> {
    free_port(&mut Vec::new())
}

/// The next port from this one on that nobody listens on now.
pub fn next_free(from: u16) -> Result<u16> {
    (from..=u16::MAX)
        .find(|port| listen(*port).is_ok())
        .context("no free port was found")
}

fn free_port(taken: &mut Vec<TcpListener>) -> Result<u16> {
    let socket = (0..200)
        .find_map(|_| listen(rand::rng().random_range(FREE)).ok())
        .context("no free port was found")?;
    let port = socket.local_addr()?.port();
    taken.push(socket);
    Ok(port)
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}
