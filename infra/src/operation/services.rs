//! Starting and ending the services of a deployment. What runs is left as it is, so starting twice
//! brings up what is missing and nothing else.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use tokio_postgres::error::SqlState;

use super::{
    connection,
    deployment::{self, Deployment},
};
use crate::{
    output::{self, Step},
    ports,
    service::{Launch, Running, Service, Surroundings},
};

const READY_WITHIN: Duration = Duration::from_secs(120);
const ASK_EVERY: Duration = Duration::from_millis(50);

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

/// What is needed to start services.
#[derive(Debug, Clone)]
pub struct Starter {
    /// Holds the note of what runs, and the logs.
    pub dir: PathBuf,
    pub programs: PathBuf,
    pub listen: Listen,
    /// Whether the services end with the process, and thread, that starts them.
    pub attached: bool,
}

impl Starter {
    /// Starts what is missing and waits until all of it is ready; answers how many were started.
    pub async fn start(&self, surroundings: &Surroundings, replicas: Replicas) -> Result<usize> {
        let _turn = deployment::turn(&self.dir).await?;
        create_database(surroundings).await?;
        let known = Deployment::load(&self.dir)?;
        let mut deployment = known.unwrap_or_else(|| Deployment::new(surroundings.clone()));
        deployment.surroundings = surroundings.clone();
        deployment.services.retain(Running::is_alive);
        let missing = missing(&deployment, replicas);
        let launches = self.launches(&missing)?;
        let step = (!launches.is_empty()).then(|| Step::begin("starting the services"));
        let tell = |what: &str| step.iter().for_each(|step| step.detail(what));
        for launch in &launches {
            tell(launch.service.name());
            let running = launch.start(surroundings).await?;
            deployment.services.push(running);
            let order = |of: &Running| (of.service, of.replica);
            deployment.services.sort_by_key(order);
            deployment.save(&self.dir)?;
        }
        tell("waiting until they are ready");
        ready(&deployment)
            .await
            .with_context(|| format!("the logs in {} may tell more", self.logs().display()))?;
        if let Some(step) = step {
            step.done();
        }
        Ok(launches.len())
    }

    fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    fn launches(&self, missing: &[(Service, u16)]) -> Result<Vec<Launch>> {
        let mut next = Service::ALL
            .map(Service::default_port)
            .into_iter()
            .max()
            .unwrap_or(0);
        let mut launches = Vec::new();
        for (service, replica) in missing {
            let port = match (self.listen, replica) {
                (Listen::Anywhere, _) => 0,
                (Listen::Usual, 1) => service.default_port(),
                (Listen::Usual, _) => {
                    next = ports::next_free(next + 1)?;
                    next
                }
            };
            if port != 0 {
                ports::check_port(service.name(), port)?;
            }
            launches.push(Launch {
                service: *service,
                port,
                program: self.programs.join(service.name()),
                logs: self.logs(),
                replica: *replica,
                variables: Vec::new(),
                attached: self.attached,
            });
        }
        Ok(launches)
    }
}

/// Ends all services at once, each after it has answered what it was asked; answers how many ran.
pub async fn stop(dir: &Path) -> Result<usize> {
    let _turn = deployment::turn(dir).await?;
    let Some(deployment) = Deployment::load(dir)? else {
        return Ok(0);
    };
    let mut living = deployment.services;
    living.retain(Running::is_alive);
    if !living.is_empty() {
        let step = Step::begin("stopping the services");
        for stopped in join_all(living.iter().map(Running::stop)).await {
            if let Err(error) = stopped {
                output::note(format!("{error:#}"));
            }
        }
        step.done();
    }
    Deployment::forget(dir)?;
    Ok(living.len())
}

fn missing(deployment: &Deployment, replicas: Replicas) -> Vec<(Service, u16)> {
    let is_there = |service, replica| {
        let mut living = deployment.replicas(service);
        living.any(|running| running.replica == replica)
    };
    Service::ALL
        .into_iter()
        .flat_map(|service| (1..=replicas.of(service)).map(move |replica| (service, replica)))
        .filter(|(service, replica)| !is_there(*service, *replica))
        .collect()
}

/// Waits until every service is ready and answers readers from a first build of each view.
async fn ready(deployment: &Deployment) -> Result<()> {
    let services = deployment.services.iter();
    try_join_all(services.map(|running| running.ready(READY_WITHIN))).await?;
    let queries = deployment.replicas(Service::QuerySvc);
    try_join_all(queries.map(|running| serves(&running.url))).await?;
    Ok(())
}

async fn serves(url: &str) -> Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()?;
    let deadline = Instant::now() + READY_WITHIN;
    for path in ["/v1/products?limit=1", "/v1/categories"] {
        let mut answer = http.get(format!("{url}{path}")).send().await?;
        while !answer.status().is_success() {
            ensure!(
                Instant::now() < deadline,
                "{url}{path} answers {}: no view has been built yet",
                answer.status()
            );
            tokio::time::sleep(ASK_EVERY).await;
            answer = http.get(format!("{url}{path}")).send().await?;
        }
    }
    Ok(())
}

async fn create_database(surroundings: &Surroundings) -> Result<()> {
    let server = connection::open(surroundings.endpoints.postgres.clone()).await?;
    let create = format!("create database \"{}\"", surroundings.database);
    match server.client.batch_execute(&create).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(()),
        created => created.context("creating the database"),
    }
}
