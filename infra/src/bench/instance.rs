//! A throw-away Tidemark: servers, a corner of them, and the services that a bench needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use chassis::auth::{Role, mint};
use chassis::clock;
use chassis::config::DEVELOPMENT_JWT_SECRET;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use testbed::environment;
use testbed::namespace::Namespace;
use testbed::namespace::Surroundings;
use testbed::stack::{Endpoints, SharedStack, Stack, StackOptions, shared};
use tokio_postgres::NoTls;

use super::options::Options;
use crate::output;
use crate::service::{self, Launch, Profile, Running, Service};

const READY_WITHIN: Duration = Duration::from_secs(120);
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
const TOKEN_LIFE: Duration = Duration::from_secs(6 * 3600);

/// The servers of a bench.
#[derive(Debug)]
pub(super) enum Servers {
    Own(Box<Stack>),
    Shared(Box<SharedStack>),
}

/// Everything in it ends and goes away with `end`.
#[derive(Debug)]
pub(super) struct Instance {
    pub surroundings: Surroundings,
    namespace: Namespace,
    services: Vec<Running>,
    logs: PathBuf,
}

impl Servers {
    pub async fn open(join: bool) -> Result<Self> {
        if join {
            return Ok(Self::Shared(Box::new(shared().await?)));
        }
        let stack = Stack::start(StackOptions::default()).await?;
        Ok(Self::Own(Box::new(stack)))
    }

    pub fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Own(stack) => stack.endpoints(),
            Self::Shared(stack) => stack.endpoints(),
        }
    }

    pub async fn close(self) -> Result<()> {
        match self {
            Self::Own(stack) => stack.stop().await,
            Self::Shared(_) => Ok(()),
        }
    }
}

/// The programs that the options name, else newly built ones, built as this program was.
pub(super) async fn programs(options: &Options) -> Result<PathBuf> {
    if let Some(folder) = &options.programs {
        return Ok(folder.clone());
    }
    if Profile::own() == Profile::Dev {
        output::note("a dev build: its figures mean little; use cargo run --release");
    }
    output::note("building the services");
    service::build(Profile::own()).await
}

impl Instance {
    /// Starts these services, one of each, and waits until they are ready.
    pub async fn start(servers: &Servers, programs: &Path, services: &[Service]) -> Result<Self> {
        let namespace = Namespace::create(servers.endpoints()).await?;
        let surroundings = namespace.surroundings();
        let logs = environment::cache_dir()?
            .join("bench")
            .join(&namespace.database);
        let mut instance = Self {
            surroundings,
            namespace,
            services: Vec::new(),
            logs,
        };
        for service in services {
            instance.launch(*service, programs).await?;
        }
        for running in &instance.services {
            running
                .ready(READY_WITHIN)
                .await
                .with_context(|| instance.see_logs())?;
        }
        Ok(instance)
    }

    async fn launch(&mut self, service: Service, programs: &Path) -> Result<()> {
        let launch = Launch {
            service,
            port: 0,
            program: programs.join(service.name()),
            logs: self.logs.clone(),
            replica: 1,
            variables: Vec::new(),
            attached: true,
        };
        self.services.push(launch.start(&self.surroundings).await?);
        Ok(())
    }

    /// Where the service listens.
    pub fn url(&self, service: Service) -> Result<&str> {
        let found = self
            .services
            .iter()
            .find(|running| running.service == service);
        let running = found.with_context(|| format!("{} was not started", service.name()))?;
        Ok(&running.url)
    }

    /// A new connection, as the owner.
    pub async fn database(&self) -> Result<tokio_postgres::Client> {
        connect(&self.namespace.database_url).await
    }

    pub fn see_logs(&self) -> String {
        format!("its logs are in {}", self.logs.display())
    }

    /// Ends one service; what it did stays.
    pub async fn stop(&mut self, service: Service) -> Result<()> {
        for running in self
            .services
            .extract_if(.., |running| running.service == service)
        {
            running.kill().await?;
        }
        Ok(())
    }

    /// Ends the services and removes what they left.
    pub async fn end(self) -> Result<()> {
        for running in &self.services {
            running.kill().await?;
        }
        self.namespace.remove().await?;
        fs::remove_dir_all(&self.logs).with_context(|| format!("removing {}", self.logs.display()))
    }
}

/// A connection whose driver ends with it.
pub(super) async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("connecting to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

/// An HTTP client that keeps its connections open.
pub(super) fn http() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWERED_WITHIN);
    Ok(client.build()?)
}

/// The same, as a member of staff.
pub(super) fn staff() -> Result<reqwest::Client> {
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", admin_token()?);
    headers.insert(AUTHORIZATION, HeaderValue::try_from(bearer)?);
    let client = reqwest::Client::builder()
        .no_proxy()
        .default_headers(headers)
        .timeout(ANSWERED_WITHIN);
    Ok(client.build()?)
}

/// The value of a service's metric that has no labels.
pub(super) async fn metric(http: &reqwest::Client, url: &str, name: &str) -> Result<f64> {
    let answer = http.get(format!("{url}/metrics")).send().await?;
    let told = answer.error_for_status()?.text().await?;
    let mut lines = told.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(found, _)| *found == name);
    let (_, value) = found.with_context(|| format!("{name} is not told"))?;
    Ok(value.parse()?)
}

/// A bearer token that outlives every bench.
pub(super) fn admin_token() -> Result<String> {
    let secret = DEVELOPMENT_JWT_SECRET.into();
    Ok(mint(&secret, Role::Admin, clock::new_id(), TOKEN_LIFE)?)
}
