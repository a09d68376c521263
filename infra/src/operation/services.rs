//! Starting and ending the services of a deployment. What runs is left as it is, so starting twice
//! brings up what is missing and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use testbed::{
    namespace::Surroundings,
    ports,
    process::{Identity, wait_gone},
};
use tokio_postgres::error::SqlState;

use super::{
    connection,
    deployment::{self, Deployment, Plan, Slot, Watched},
    readiness, watcher,
};
use crate::{
    output::{self, Step},
    service::Service,
};

/// The watcher ends its services first, by force if they take too long.
const WATCHER_ENDS_WITHIN: Duration = Duration::from_secs(40);

/// How many of each service there shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    pub command_svc: u16,
    pub projector: u16,
    pub query_svc: u16,
}

impl Replicas {
    pub fn of_each(number: u16) -> Self {
        Self {
            command_svc: number,
            projector: number,
            query_svc: number,
        }
    }

    fn of(self, service: Service) -> u16 {
        match service {
            Service::CommandSvc => self.command_svc,
            Service::Projector => self.projector,
            Service::QuerySvc => self.query_svc,
        }
    }
}

/// Where the services of a deployment listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// First replicas on their services' own ports, further ones on the next free ones.
    Usual,
    /// On any that are free.
    Anywhere,
}

impl Listen {
    fn port(self, service: Service, replica: u16, taken: &[Slot]) -> Result<u16> {
        let is_taken = |port| taken.iter().any(|slot| slot.port == port);
        match (self, replica) {
            (Self::Anywhere, _) => loop {
                let port = ports::any_free()?;
                if !is_taken(port) {
                    return Ok(port);
                }
            },
            (Self::Usual, 1) => Ok(service.default_port()),
            (Self::Usual, _) => {
                let own = Service::ALL.map(Service::default_port);
                let others = taken.iter().map(|slot| slot.port);
                let last = own.into_iter().chain(others).max().unwrap_or_default();
                ports::next_free(last + 1)
            }
        }
    }
}

/// What is needed to start services.
#[derive(Debug, Clone)]
pub struct Starter {
    /// Holds the plan, the note of what runs, and the logs.
    pub dir: PathBuf,
    pub programs: PathBuf,
    pub listen: Listen,
    /// Whether everything ends with the process, and thread, that starts it.
    pub attached: bool,
}

impl Starter {
    /// Starts what is missing and waits until all of it is ready; answers how many were started.
    pub async fn start(&self, surroundings: &Surroundings, replicas: Replicas) -> Result<usize> {
        let _turn = deployment::turn(&self.dir).await?;
        create_database(surroundings).await?;
        let before = Before::load(&self.dir)?;
        let plan = Plan {
            surroundings: surroundings.clone(),
            programs: self.programs.clone(),
            attached: self.attached,
            services: self.slots(&before, replicas)?,
        };
        let mut missing = plan.services.clone();
        missing.retain(|slot| !before.is_running(*slot));
        let step = (!missing.is_empty()).then(|| Step::begin("starting the services"));
        self.watch(&plan, &before, &missing).await?;
        let tell = |what: &str| step.iter().for_each(|step| step.detail(what));
        readiness::wait(&self.dir, &plan, before.deployment.as_ref(), tell)
            .await
            .with_context(|| {
                format!(
                    "the logs in {} may tell more",
                    watcher::logs(&self.dir).display()
                )
            })?;
        if let Some(step) = step {
            step.done();
        }
        Ok(missing.len())
    }

    /// Hands the plan to the watcher, a new one where none lives.
    async fn watch(&self, plan: &Plan, before: &Before, missing: &[Slot]) -> Result<()> {
        if let Some(watcher) = before.watcher() {
            // The ports of others are its own business: they may be coming back right now.
            let unknown = |slot: &&Slot| !before.planned().contains(slot);
            check_ports(missing.iter().filter(unknown))?;
            plan.save(&self.dir)?;
            watcher.signal(Signal::SIGHUP);
            return Ok(());
        }
        watcher::end_strays(&self.dir, before.deployment.as_ref()).await;
        check_ports(missing.iter())?;
        plan.save(&self.dir)?;
        watcher::spawn(&self.dir, self.attached).await
    }

    /// All that was to run before, and what is asked for now.
    fn slots(&self, before: &Before, replicas: Replicas) -> Result<Vec<Slot>> {
        let mut slots = before.planned().to_vec();
        let asked = Service::ALL
            .into_iter()
            .flat_map(|service| (1..=replicas.of(service)).map(move |replica| (service, replica)));
        for (service, replica) in asked {
            let is_it = |slot: &Slot| (slot.service, slot.replica) == (service, replica);
            if !slots.iter().any(is_it) {
                let port = self.listen.port(service, replica, &slots)?;
                slots.push(Slot {
                    service,
                    replica,
                    port,
                });
            }
        }
        slots.sort();
        Ok(slots)
    }
}

/// What an earlier `up` has left. Its processes may have ended since.
struct Before {
    plan: Option<Plan>,
    deployment: Option<Deployment>,
}

impl Before {
    fn load(dir: &Path) -> Result<Self> {
        Ok(Self {
            plan: Plan::load(dir)?,
            deployment: Deployment::load(dir)?,
        })
    }

    fn planned(&self) -> &[Slot] {
        self.plan.as_ref().map_or(&[], |plan| &plan.services)
    }

    fn watcher(&self) -> Option<Identity> {
        let watcher = self.deployment.as_ref()?.watcher?;
        watcher.is_alive().then_some(watcher)
    }

    fn watched(&self, slot: Slot) -> Option<&Watched> {
        self.deployment
            .as_ref()?
            .watched(slot.service, slot.replica)
    }

    fn is_running(&self, slot: Slot) -> bool {
        self.watched(slot)
            .is_some_and(|watched| watched.running().is_some())
    }
}

/// Ends all services and their watcher; answers how many services ran.
pub async fn stop(dir: &Path) -> Result<usize> {
    let _turn = deployment::turn(dir).await?;
    let before = Before::load(dir)?;
    let services = before
        .deployment
        .iter()
        .flat_map(|deployment| &deployment.services);
    let living = services
        .filter(|watched| watched.running().is_some())
        .count();
    let step = (living > 0).then(|| Step::begin("stopping the services"));
    if let Some(watcher) = before.watcher() {
        watcher.signal(Signal::SIGTERM);
        if !wait_gone(&[watcher], WATCHER_ENDS_WITHIN).await {
            output::note("the watcher does not end: it is killed");
            watcher.signal(Signal::SIGKILL);
            wait_gone(&[watcher], WATCHER_ENDS_WITHIN).await;
        }
    }
    // What is still noted had no watcher, or one that did not get so far.
    let left = Deployment::load(dir)?;
    if let Some(deployment) = &left {
        watcher::stop(deployment).await;
    }
    watcher::end_strays(dir, left.as_ref()).await;
    Plan::forget(dir)?;
    Deployment::forget(dir)?;
    if let Some(step) = step {
        step.done();
    }
    Ok(living)
}

fn check_ports<'a>(slots: impl Iterator<Item = &'a Slot>) -> Result<()> {
    slots
        .into_iter()
        .try_for_each(|slot| ports::check_port(slot.service.name(), slot.port))
}

async fn create_database(surroundings: &Surroundings) -> Result<()> {
    let server = connection::open(surroundings.endpoints.postgres.clone()).await?;
    let create = format!("create database \"{}\"", surroundings.database);
    match server.client.batch_execute(&create).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(()),
        created => created.context("creating the database"),
    }
}
