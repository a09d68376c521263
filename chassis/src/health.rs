//! Liveness and readiness: a service says of each server behind it whether it is there.
//!
//! `/livez` is always 200: a process that can answer needs no restart because a server is away.
//! `/readyz` is 503 and names what is missing. A dependency starts as down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{HttpResponse, web};
use schemas::problem::{Problem, ProblemType};
use serde_json::json;

use crate::problem::ApiError;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health {
    states: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Up,
    Down { reason: String },
}

/// The hand of one dependency: whoever talks to it says how that went.
#[derive(Debug, Clone)]
pub struct Probe {
    health: Health,
    name: &'static str,
}

impl Health {
    /// Announces a dependency, down until its probe says otherwise.
    pub fn dependency(&self, name: &'static str) -> Probe {
        self.lock().entry(name).or_insert(State::Down {
            reason: "not reached yet".to_owned(),
        });
        Probe {
            health: self.clone(),
            name,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|state| *state == State::Up)
    }

    pub fn states(&self) -> BTreeMap<&'static str, State> {
        self.lock().clone()
    }

    fn set(&self, name: &'static str, state: State) {
        let before = self.lock().insert(name, state.clone());
        if before.as_ref() == Some(&state) {
            return;
        }
        match &state {
            State::Up => tracing::info!(dependency.name = name, "dependency is up"),
            State::Down { reason } if before == Some(State::Up) => {
                tracing::warn!(
                    dependency.name = name,
                    dependency.reason = reason,
                    "dependency is down"
                );
            }
            State::Down { .. } => {}
        }
        metrics::gauge!("tidemark_dependency_up", "name" => name).set(if state == State::Up {
            1.0
        } else {
            0.0
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.states.lock().expect("no holder of this lock panics")
    }
}

impl Probe {
    pub fn up(&self) {
        self.health.set(self.name, State::Up);
    }

    /// `reason` is shown to whoever asks: no addresses, no secrets.
    pub fn down(&self, reason: impl Into<String>) {
        self.health.set(
            self.name,
            State::Down {
                reason: reason.into(),
            },
        );
    }
}

pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

pub async fn readyz(health: web::Data<Health>) -> Result<HttpResponse, ApiError> {
    let missing: BTreeMap<&'static str, String> = health
        .states()
        .into_iter()
        .filter_map(|(name, state)| match state {
            State::Up => None,
            State::Down { reason } => Some((name, reason)),
        })
        .collect();
    if missing.is_empty() {
        return Ok(HttpResponse::Ok().json(json!({"status": "ready"})));
    }
    let names: Vec<&str> = missing.keys().copied().collect();
    let detail = format!("waiting for {}", names.join(", "));
    let problem = Problem::new(ProblemType::DependencyUnavailable, detail)
        .with("missing", missing)
        .retry_after_ms(1_000);
    Err(problem.into())
}
