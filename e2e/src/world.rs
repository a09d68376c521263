//! A whole Tidemark for one test: servers, replicas of each service, clients, and ways to break it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use chassis::auth::{Role, mint};
use chassis::config::DEVELOPMENT_JWT_SECRET;
use chassis::postgres::{Session, Target, connect_alone};
use infra::operation::verify::verify;
use infra::service::{Launch, Running, Service};
use testbed::namespace::Namespace;
use testbed::namespace::Surroundings;
use testbed::stack::{SharedStack, Stack, StackOptions, shared};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::certificates::Authority;
use crate::client::Client;
use crate::{logs, programs};

/// How long a service may take until it can answer, its servers being there.
pub const READY_WITHIN: Duration = Duration::from_secs(60);
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub command_svcs: u16,
    pub projectors: u16,
    pub query_svcs: u16,
    /// Servers of its own, which the story may stop; else the shared ones.
    pub own_servers: bool,
    /// Servers of its own that let nobody in without certificates and passwords.
    pub secured: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            command_svcs: 1,
            projectors: 1,
            query_svcs: 2,
            own_servers: false,
            secured: false,
        }
    }
}

/// All processes end with it, and with the process of the test.
#[derive(Debug)]
pub struct World {
    servers: Servers,
    surroundings: Surroundings,
    programs: PathBuf,
    logs: PathBuf,
    services: Vec<Running>,
    next_replica: u16,
    _turn: SemaphorePermit<'static>,
}

/// One world at a time: a story is about races inside it, not about a crowded machine.
static TURN: Semaphore = Semaphore::const_new(1);

#[derive(Debug)]
enum Servers {
    Shared {
        /// Before the stack: it is taken away while the servers still run.
        namespace: Namespace,
        #[expect(dead_code, reason = "held so that the servers run on")]
        stack: SharedStack,
    },
    /// Nobody else is there, so nothing has to be kept apart.
    Own {
        stack: Stack,
        /// Outlives the servers.
        #[expect(dead_code, reason = "its files are there as long as it is")]
        authority: Option<Authority>,
    },
}

impl Servers {
    async fn open(plan: Plan) -> Result<Self> {
        if plan.secured {
            return Self::open_secured().await;
        }
        if plan.own_servers {
            let stack = Stack::start(StackOptions::default()).await?;
            let authority = None;
            return Ok(Self::Own { stack, authority });
        }
        let stack = shared().await?;
        let namespace = Namespace::create(stack.endpoints()).await?;
        Ok(Self::Shared { namespace, stack })
    }

    /// The role that may only read gets its password before anybody uses it.
    async fn open_secured() -> Result<Self> {
        let authority = Authority::new()?;
        let security = authority.security()?;
        let options = StackOptions {
            security: Some(security.clone()),
            ..StackOptions::default()
        };
        let stack = Stack::start(options).await?;
        let url = stack.endpoints().postgres.as_str().into();
        let target = Target::new(&url, "e2e", Session::Unlimited)?;
        let owner = connect_alone(&target, &Handle::current()).await?;
        let password = &security.password;
        let reader = format!("create role tidemark_reader login password '{password}'");
        owner.client.batch_execute(&reader).await?;
        let authority = Some(authority);
        Ok(Self::Own { stack, authority })
    }

    fn surroundings(&self) -> Surroundings {
        match self {
            Self::Shared { namespace, .. } => namespace.surroundings(),
            Self::Own { stack, .. } => Surroundings {
                endpoints: stack.endpoints().clone(),
                database: "postgres".to_owned(),
                prefix: String::new(),
            },
        }
    }
}

impl World {
    /// Starts everything and waits until all of it is ready.
    pub async fn open(plan: Plan) -> Result<Self> {
        let turn = TURN.acquire().await?;
        let programs = programs::folder().await?;
        let servers = Servers::open(plan).await?;
        let surroundings = servers.surroundings();
        let mut world = Self {
            servers,
            surroundings,
            programs,
            logs: logs::folder()?,
            services: Vec::new(),
            next_replica: 0,
            _turn: turn,
        };
        for _ in 0..plan.command_svcs {
            world.start(Service::CommandSvc).await?;
        }
        for _ in 0..plan.projectors {
            world.start(Service::Projector).await?;
        }
        for _ in 0..plan.query_svcs {
            world.start(Service::QuerySvc).await?;
        }
        world.ready().await?;
        Ok(world)
    }

    /// Waits until every service says that it is ready and the first builds serve.
    pub async fn ready(&self) -> Result<()> {
        for service in &self.services {
            service.ready(READY_WITHIN).await?;
        }
        for replica in self.urls(Service::QuerySvc) {
            let reader = Client::new(&[], &[replica], None)?;
            for view in ["/v1/products", "/v1/categories"] {
                reader.get_within(view, READY_WITHIN).await?.expect(200)?;
            }
        }
        Ok(())
    }

    /// Starts one more replica on a free port.
    pub async fn start(&mut self, service: Service) -> Result<Running> {
        self.start_with(service, &[]).await
    }

    /// Starts one more replica that crashes when it comes to this point.
    pub async fn start_crashing_at(&mut self, service: Service, point: &str) -> Result<Running> {
        self.start_with(service, &[("TIDEMARK_CRASH_POINT", point)])
            .await
    }

    /// Starts one more replica, with variables that come after those of all.
    pub async fn start_with(
        &mut self,
        service: Service,
        variables: &[(&str, &str)],
    ) -> Result<Running> {
        self.next_replica += 1;
        let variables = variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let launch = Launch {
            service,
            port: 0,
            program: self.programs.join(service.name()),
            logs: self.logs.clone(),
            replica: self.next_replica,
            variables: variables.collect(),
            attached: true,
        };
        let running = launch.start(&self.surroundings).await?;
        self.services.push(running.clone());
        Ok(running)
    }

    /// Ends all replicas of a service as `kill -9` does.
    pub async fn kill_all(&mut self, service: Service) -> Result<()> {
        for running in self
            .services
            .extract_if(.., |running| running.service == service)
        {
            running.kill().await?;
        }
        Ok(())
    }

    /// Forgets a replica that has ended.
    pub fn forget(&mut self, pid: i32) {
        self.services.retain(|running| running.pid() != pid);
    }

    /// The running replicas of a service.
    pub fn replicas(&self, service: Service) -> Vec<&Running> {
        self.services
            .iter()
            .filter(|running| running.service == service)
            .collect()
    }

    pub fn urls(&self, service: Service) -> Vec<String> {
        self.replicas(service)
            .into_iter()
            .map(|running| running.url.clone())
            .collect()
    }

    /// A new session of a member of staff.
    pub fn staff(&self) -> Result<Client> {
        let secret = DEVELOPMENT_JWT_SECRET.into();
        let token = mint(&secret, Role::Admin, Uuid::now_v7(), TOKEN_LIFE)?;
        self.session(Some(&token))
    }

    /// A new session of somebody who only looks.
    pub fn anonymous(&self) -> Result<Client> {
        self.session(None)
    }

    fn session(&self, bearer: Option<&str>) -> Result<Client> {
        let (commands, queries) = (self.urls(Service::CommandSvc), self.urls(Service::QuerySvc));
        Client::new(&commands, &queries, bearer)
    }

    /// The servers of this world's own.
    pub fn own_servers(&self) -> Result<&Stack> {
        match &self.servers {
            Servers::Own { stack, .. } => Ok(stack),
            Servers::Shared { .. } => anyhow::bail!("the shared servers are not to be broken"),
        }
    }

    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// A connection to the database, to look at what no answer shows.
    pub async fn database(&self) -> Result<tokio_postgres::Client> {
        let url = self
            .surroundings
            .endpoints
            .database_url(&self.surroundings.database);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Fails unless rows, events and documents say the same.
    pub async fn ensure_agreement(&self) -> Result<()> {
        let mut differences = Vec::new();
        let tell = |difference| differences.push(difference);
        let checked = verify(&self.surroundings, tell, |_| {}).await?;
        ensure!(differences.is_empty(), "{differences:?}");
        ensure!(checked.documents > 0, "there is nothing to compare");
        Ok(())
    }

    /// Ends everything in order and removes what it left; the logs go as well, since the story has
    /// ended well.
    pub async fn close(mut self) -> Result<()> {
        for running in self.services.drain(..) {
            running.kill().await?;
        }
        if let Servers::Shared { namespace, .. } = self.servers {
            namespace.remove().await?;
        }
        logs::remove(&self.logs)
    }
}
