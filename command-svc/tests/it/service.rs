//! The process under test, and a client of it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::auth::{Role, mint};
use chassis::config::DEVELOPMENT_JWT_SECRET;
use chassis::postgres::{PoolOptions, Session, pool};
use deadpool_postgres::Pool;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder, StatusCode};
use schemas::id::Epoch;
use schemas::lane::{Lane, LaneSeqs};
use schemas::tidemark::{Keyring, Presented, Tidemark};
use secrecy::SecretString;
use serde_json::{Value, json};
use testbed::namespace::Namespace;
use testbed::stack::{self, SharedStack};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::proxy::Proxy;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// More than a request may take, and less than a test.
const BLOCKED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Service {
    pub url: String,
    pub db: tokio_postgres::Client,
    http: reqwest::Client,
    admin: String,
    process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    namespace: Namespace,
    _stack: SharedStack,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Service {
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    pub async fn start_with(arguments: &[&str]) -> Result<Self> {
        let stack = stack::shared().await?;
        let namespace = Namespace::create(stack.endpoints()).await?;
        Self::start_in(namespace, stack, arguments).await
    }

    /// With a proxy before PostgreSQL for all but migrations and the relay.
    pub async fn start_behind_a_proxy() -> Result<(Self, Proxy)> {
        let stack = stack::shared().await?;
        let namespace = Namespace::create(stack.endpoints()).await?;
        let url: reqwest::Url = namespace.database_url.parse()?;
        let host = url.host_str().context("the url names a host")?.to_owned();
        let proxy = Proxy::start(host, url.port().unwrap_or(5432)).await?;
        let proxied = behind(&proxy, &namespace.database_url)?;
        let direct = namespace.database_url.clone();
        let arguments = ["--database-url", &proxied, "--direct-database-url", &direct];
        let service = Self::start_in(namespace, stack, &arguments).await?;
        Ok((service, proxy))
    }

    async fn start_in(
        namespace: Namespace,
        stack: SharedStack,
        arguments: &[&str],
    ) -> Result<Self> {
        let (process, mut stdout) = spawn(&namespace, arguments)?;
        let url = listening(&mut stdout).await?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()?;
        wait_until_ready(&http, &url).await?;
        let db = connect(&namespace.database_url).await?;
        let admin = token(Role::Admin, Duration::from_secs(3_600));
        Ok(Self {
            url,
            db,
            http,
            admin,
            process,
            _stdout: stdout,
            namespace,
            _stack: stack,
        })
    }

    /// How a process ends that finds this in its database.
    pub async fn ends_with(found: &str) -> Result<ExitStatus> {
        let stack = stack::shared().await?;
        let namespace = Namespace::create(stack.endpoints()).await?;
        connect(&namespace.database_url)
            .await?
            .batch_execute(found)
            .await?;
        let (mut process, _stdout) = spawn(&namespace, &[])?;
        let ended = tokio::time::timeout(READY_WITHIN, process.wait()).await;
        Ok(ended.context("it goes on")??)
    }

    /// Ends the process as a power cut would.
    pub async fn kill(&self) -> Result<()> {
        let pid = self.process.id().context("the process runs")?;
        Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .await?;
        Ok(())
    }

    /// Starts another process on the same database, once the killed one has ended.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.wait().await?;
        let (process, mut stdout) = spawn(&self.namespace, &[])?;
        self.url = listening(&mut stdout).await?;
        self.process = process;
        self._stdout = stdout;
        wait_until_ready(&self.http, &self.url).await
    }

    /// A request of an admin; `send` sends it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.admin)
    }

    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Result<Answer> {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Result<Answer> {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        send(self.request(Method::DELETE, path)).await
    }

    pub async fn new_category(&self, name: &str, parent: Option<&str>) -> Result<String> {
        let body = match parent {
            Some(parent) => json!({"name": name, "parent_id": parent}),
            None => json!({"name": name}),
        };
        Ok(self
            .post("/v1/categories", body)
            .await?
            .expect(StatusCode::CREATED)?
            .id())
    }

    pub async fn new_product(&self, sku: &str, members: Value) -> Result<String> {
        let mut body = product(sku);
        let members = members.as_object().cloned().unwrap_or_default();
        body.as_object_mut()
            .context("a product is an object")?
            .extend(members);
        Ok(self
            .post("/v1/products", body)
            .await?
            .expect(StatusCode::CREATED)?
            .id())
    }

    /// The head of every lane.
    pub async fn heads(&self) -> Result<LaneSeqs> {
        let rows = self.db.query("select id, head from lane", &[]).await?;
        rows.iter()
            .map(|row| {
                Ok((
                    Lane::try_from(row.get::<_, i16>(0))?,
                    u64::try_from(row.get::<_, i64>(1))?,
                ))
            })
            .collect()
    }

    /// What the process has recorded under this metric, summed over its labels.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = self
            .anonymous(Method::GET, "/metrics")
            .send()
            .await?
            .text()
            .await?;
        let values = text.lines().filter(|line| line.starts_with(name));
        let values = values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// What `command-svc verify` prints, a value a line, and whether it succeeded.
    pub async fn verify(&self) -> Result<(Vec<Value>, bool)> {
        let output = Command::new(env!("CARGO_BIN_EXE_command-svc"))
            .args(["--log", "error", "verify"])
            .env("DATABASE_URL", &self.namespace.database_url)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(READY_WITHIN, output).await??;
        let lines = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let lines = lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?;
        Ok((lines, output.status.success()))
    }

    /// Waits until a backend of the service waits for a lock, and says which.
    pub async fn blocked_backend(&self) -> Result<i32> {
        let asked = "select pid from pg_stat_activity where datname = current_database()
            and application_name = 'command-svc' and wait_event_type = 'Lock' limit 1";
        let look = async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                if let Some(row) = self.db.query_opt(asked, &[]).await? {
                    return anyhow::Ok(row.get(0));
                }
            }
        };
        tokio::time::timeout(BLOCKED_WITHIN, look)
            .await
            .context("no backend waits for a lock")?
    }

    /// The most memory that the process has had so far.
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        let pid = self.process.id().context("the process runs")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        Ok(peak.context("a process has a peak")?.parse::<u64>()? * 1_024)
    }

    pub fn database_url(&self) -> &str {
        &self.namespace.database_url
    }

    /// The service's database over this proxy.
    pub fn url_behind(&self, proxy: &Proxy) -> Result<String> {
        behind(proxy, &self.namespace.database_url)
    }

    /// A further connection to the service's database.
    pub async fn connect(&self) -> Result<tokio_postgres::Client> {
        connect(&self.namespace.database_url).await
    }

    /// Another session, which holds the locks of these rows until it ends its transaction.
    pub async fn hold(&self, rows: &str) -> Result<tokio_postgres::Client> {
        let other = self.connect().await?;
        let lock = format!("begin; select from {rows} for update");
        other.batch_execute(&lock).await?;
        Ok(other)
    }

    /// A pool of connections like the service's own.
    pub fn pool(&self) -> Result<Pool> {
        let url = SecretString::from(self.namespace.database_url.clone());
        let options = PoolOptions {
            size: 1,
            application_name: "test",
            session: Session::Writer,
        };
        Ok(pool(&url, &options, &Handle::current())?)
    }

    pub async fn tell_to_stop(&self) -> Result<()> {
        let pid = self.process.id().context("the process runs")?;
        Command::new("kill").arg(pid.to_string()).status().await?;
        Ok(())
    }

    /// Waits until the process has ended, and says how.
    pub async fn ended(mut self) -> Result<ExitStatus> {
        let status = tokio::time::timeout(READY_WITHIN, self.process.wait()).await??;
        self.namespace.remove().await?;
        Ok(status)
    }

    /// Tells the process to stop, and waits until it has.
    pub async fn stop(self) -> Result<()> {
        self.tell_to_stop().await?;
        let status = self.ended().await?;
        anyhow::ensure!(status.success(), "the process ended with {status}");
        Ok(())
    }
}

impl Answer {
    pub fn expect(self, status: StatusCode) -> Result<Self> {
        if self.status != status {
            bail!("expected {status}, got {}: {}", self.status, self.body);
        }
        Ok(self)
    }

    /// An error of this type, with the status that the type has.
    pub fn expect_problem(self, name: &str) -> Result<Self> {
        let type_uri = format!("/problems/{name}");
        let is_problem = self.header("content-type") == Some("application/problem+json");
        if !is_problem || self.body["type"] != json!(type_uri) {
            bail!("expected {type_uri}, got {}: {}", self.status, self.body);
        }
        if self.body["status"] != json!(self.status.as_u16()) || self.tidemark().is_err() {
            bail!("the problem is not complete: {self:?}");
        }
        Ok(self)
    }

    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name.parse::<HeaderName>().ok()?)?
            .to_str()
            .ok()
    }

    pub fn etag(&self) -> &str {
        self.header("etag").unwrap_or_default()
    }

    /// The pointers of all violations.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        errors
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect()
    }

    pub fn token(&self) -> &str {
        self.header("tidemark").unwrap_or_default()
    }

    pub fn tidemark(&self) -> Result<Tidemark> {
        open(self.token())
    }
}

fn behind(proxy: &Proxy, database_url: &str) -> Result<String> {
    let mut url: reqwest::Url = database_url.parse()?;
    let is_set = url.set_port(Some(proxy.port)).is_ok() && url.set_host(Some("127.0.0.1")).is_ok();
    anyhow::ensure!(is_set, "the url takes a host and a port");
    url.set_query(Some("sslmode=disable"));
    Ok(url.to_string())
}

pub async fn connect(database_url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The keys that the process signs with.
pub fn keyring() -> Keyring {
    chassis::config::DEVELOPMENT_TIDEMARK_KEYS
        .parse()
        .expect("the development keys are keys")
}

pub fn open(token: &str) -> Result<Tidemark> {
    match keyring().open(token, epoch_of(token)?)? {
        Presented::Ours(tidemark) => Ok(tidemark),
        Presented::Foreign(foreign) => bail!("the tidemark is foreign: {foreign:?}"),
    }
}

/// The epoch stands behind version and key id.
fn epoch_of(token: &str) -> Result<Epoch> {
    let bytes = URL_SAFE_NO_PAD.decode(token)?;
    let epoch = bytes.get(2..6).context("a token has an epoch")?;
    Ok(Epoch(u32::from_be_bytes(epoch.try_into()?)))
}

pub async fn send(request: RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await?;
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Answer {
        status,
        headers,
        body,
    })
}

pub fn product(sku: &str) -> Value {
    json!({"sku": sku, "name": "Desk lamp", "price": {"amount": 1999, "currency": "EUR"}})
}

pub fn token(role: Role, ttl: Duration) -> String {
    let secret = SecretString::from(DEVELOPMENT_JWT_SECRET);
    mint(&secret, role, Uuid::from_u128(7), ttl).expect("a token can be signed")
}

pub fn spawn(
    namespace: &Namespace,
    arguments: &[&str],
) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_command-svc"))
        .args([
            "--bind",
            "127.0.0.1:0",
            "--log",
            "error",
            "--drain-seconds",
            "5",
        ])
        .args(arguments)
        .env("DATABASE_URL", &namespace.database_url)
        .env("KAFKA_BOOTSTRAP", &namespace.endpoints().kafka)
        .env("TIDEMARK_PREFIX", &namespace.prefix)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("stdout is piped")?;
    Ok((process, BufReader::new(stdout).lines()))
}

async fn listening(stdout: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    let line = stdout
        .next_line()
        .await?
        .context("the process says where it listens")?;
    let url = line
        .strip_prefix("listening on ")
        .context("the first line is the address")?;
    Ok(url.to_owned())
}

async fn wait_until_ready(http: &reqwest::Client, url: &str) -> Result<()> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let ready = async {
        loop {
            looks.tick().await;
            let answer = http.get(format!("{url}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
    };
    tokio::time::timeout(READY_WITHIN, ready)
        .await
        .context("the process did not get ready")
}
