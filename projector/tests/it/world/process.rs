//! A projector as a process of its own, so that it can be killed.

use std::process::Stdio;

use chassis::clock::Deadline;
use serde_json::Value;
use testbed::stack::Endpoints;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{LIMIT, World};

pub struct Process {
    child: Child,
    pub url: String,
}

impl Process {
    pub(super) async fn start(world: &World, endpoints: &Endpoints) -> Self {
        let process = Self::spawn(world, endpoints).await;
        world
            .eventually("the projector is ready", async || process.is_ready().await)
            .await;
        process
    }

    /// Returns once it listens.
    pub(super) async fn spawn(world: &World, endpoints: &Endpoints) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_projector"))
            .env("BIND", "127.0.0.1:0")
            .env("HTTP_WORKERS", "1")
            .env("DATABASE_URL", &world.namespace.database_url)
            .env("DATABASE_POOL_SIZE", "4")
            .env("KAFKA_BOOTSTRAP", &endpoints.kafka)
            .env("ELASTICSEARCH_URL", &endpoints.elasticsearch)
            .env("TIDEMARK_PREFIX", &world.namespace.prefix)
            .env("CACHE_MEBIBYTES", world.cache_mebibytes.to_string())
            .env("RUST_LOG", "info,rdkafka=off")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let deadline = Deadline::within(LIMIT);
        let line = deadline
            .run(lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }

    async fn is_ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/readyz", self.url)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        answer.json().await.unwrap()
    }

    /// How many lanes are its own: of those it knows a position that is applied.
    pub async fn owned_lanes(&self) -> usize {
        let lag = self.get("/v1/lag").await;
        let lanes = &lag["views"][0]["builds"][0]["lanes"];
        let lanes = lanes.as_array().cloned().unwrap_or_default();
        lanes
            .iter()
            .filter(|lane| !lane["applied"].is_null())
            .count()
    }

    /// One sample of a metric, by its name and labels as they are printed.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = reqwest::get(format!("{}/metrics", self.url)).await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// The most memory that it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Ends it at once, wherever it is.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, and answers its exit status.
    pub async fn stop(mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        let signal = nix::sys::signal::Signal::SIGTERM;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).unwrap();
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Option<i32> {
        let deadline = Deadline::within(LIMIT);
        deadline
            .run(self.child.wait())
            .await
            .expect("it ends in time")
            .unwrap()
            .code()
    }
}
