//! Liveness and readiness: a process says whether it can do its main thing, and which of the
//! servers behind it are away.
//!
//! `/livez` is always 200: a process that can answer needs no restart because a server is away.
//! `/readyz` is 503 while a *requirement* is not met, and then a load balancer takes the process
//! away. A *dependency* that is away is only named: what works without it goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{HttpResponse, web};
use schemas::problem::{Problem, ProblemType};
use serde_json::json;

use crate::problem::ApiError;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<Parts>>,
}

#[derive(Debug, Default)]
struct Parts {
    requirements: States,
    dependencies: States,
}

type States = BTreeMap<&'static str, State>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Up,
    Down { reason: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Requirement,
    Dependency,
}

/// Reports the state of one requirement or dependency. Held by the code that uses it.
#[derive(Debug, Clone)]
pub struct Probe {
    health: Health,
    kind: Kind,
    name: &'static str,
}

impl Health {
    /// Announces something without which the process cannot do its main thing. It is not met until
    /// its probe says so.
    pub fn requirement(&self, name: &'static str) -> Probe {
        self.announce(Kind::Requirement, name)
    }

    /// Announces a server that the process uses, and whose absence it reports. It is away until its
    /// probe says otherwise.
    pub fn dependency(&self, name: &'static str) -> Probe {
        self.announce(Kind::Dependency, name)
    }

    fn announce(&self, kind: Kind, name: &'static str) -> Probe {
        let unknown = || State::Down {
            reason: "not reached yet".to_owned(),
        };
        self.lock().of(kind).entry(name).or_insert_with(unknown);
        Probe {
            health: self.clone(),
            kind,
            name,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.lock().requirements.values().all(State::is_up)
    }

    fn set(&self, kind: Kind, name: &'static str, state: State) {
        let before = self.lock().of(kind).insert(name, state.clone());
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
        metrics::gauge!("tidemark_dependency_up", "name" => name).set(if state.is_up() {
            1.0
        } else {
            0.0
        });
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().expect("no holder of this lock panics")
    }
}

impl Parts {
    fn of(&mut self, kind: Kind) -> &mut States {
        match kind {
            Kind::Requirement => &mut self.requirements,
            Kind::Dependency => &mut self.dependencies,
        }
    }
}

impl State {
    fn is_up(&self) -> bool {
        *self == Self::Up
    }
}

impl Probe {
    pub fn up(&self) {
        self.health.set(self.kind, self.name, State::Up);
    }

    /// `reason` is shown to anybody: no addresses, no secrets.
    pub fn down(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.health
            .set(self.kind, self.name, State::Down { reason });
    }
}

pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

pub async fn readyz(health: web::Data<Health>) -> Result<HttpResponse, ApiError> {
    let (missing, away) = {
        let parts = health.lock();
        (down(&parts.requirements), down(&parts.dependencies))
    };
    if missing.is_empty() {
        return Ok(HttpResponse::Ok().json(json!({"status": "ready", "away": away})));
    }
    let names: Vec<&str> = missing.keys().copied().collect();
    let detail = format!("waiting for {}", names.join(", "));
    let problem = Problem::new(ProblemType::DependencyUnavailable, detail)
        .with("missing", missing)
        .with("away", away)
        .retry_after_ms(1_000);
    Err(problem.into())
}

/// Those that are not up, with their reasons.
fn down(states: &States) -> BTreeMap<&'static str, String> {
    let down = states.iter().filter_map(|(name, state)| match state {
        State::Up => None,
        State::Down { reason } => Some((*name, reason.clone())),
    });
    down.collect()
}
