//! The HTTP server of a service: binds first, says where, then serves its routes until a signal.
//!
//! The service brings the route table; this module adds what every process has (`/livez`,
//! `/readyz`, `/metrics`, `/openapi.json`, `/docs`) and what every answer needs, see `answer`.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, Error, HttpResponse, HttpServer};
use schemas::problem::ProblemType;
use tracing_actix_web::TracingLogger;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::auth::Verifier;
use crate::config::HttpArgs;
use crate::extract::MAX_BODY_BYTES;
use crate::health::{self, Health};
use crate::metrics::{self, Metrics};
use crate::problem::ApiError;
use crate::shutdown::Shutdown;
use crate::tidemark::Tides;

mod answer;
mod correlation;
mod open_files;

pub use correlation::Correlation;
pub use open_files::raise_open_files;

const BACKLOG: i32 = 1_024;
/// For longer than clients and proxies keep an idle connection, 90 s at most by default: closed
/// here first, it would take along a command that is just being sent on it.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// Response headers that a browser's script may read.
const EXPOSED_HEADERS: [&str; 9] = [
    "Tidemark",
    "ETag",
    "Location",
    "Idempotency-Replayed",
    "Tidemark-Served",
    "Preference-Applied",
    "Retry-After",
    "Allow",
    "X-Request-Id",
];

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("serve http")]
    Serve(#[source] std::io::Error),
}

/// What a service bolts on. Only health and metrics are needed.
#[derive(Clone)]
pub struct Bolts {
    pub health: Health,
    pub metrics: Metrics,
    /// For the `Principal` extractor.
    pub verifier: Option<Verifier>,
    /// For the `Tidemark` header; without it no response carries one.
    pub tides: Option<Tides>,
    pub openapi: Option<OpenApi>,
}

impl Bolts {
    pub fn new(health: Health, metrics: Metrics) -> Self {
        Self {
            health,
            metrics,
            verifier: None,
            tides: None,
            openapi: None,
        }
    }
}

impl std::fmt::Debug for Bolts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bolts")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// A bound address that does not answer yet: connections wait until `run`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    workers: usize,
    drain: Duration,
}

impl Server {
    /// Binds, and says where on stdout in one line, `listening on http://…`.
    pub fn bind(args: &HttpArgs, default_port: u16) -> Result<Self, ServerError> {
        let asked = args.address(default_port);
        let failed = |source| ServerError::Bind {
            address: asked,
            source,
        };
        raise_open_files();
        let listener = listen(asked).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = Self {
            listener,
            address,
            workers: args.workers.max(1),
            drain: Duration::from_secs(args.drain_seconds),
        };
        writeln!(std::io::stdout(), "listening on {}", server.url()).map_err(failed)?;
        Ok(server)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a client on this machine finds it.
    pub fn url(&self) -> String {
        let mut reachable = self.address;
        if reachable.ip().is_unspecified() {
            reachable.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{reachable}")
    }

    /// Serves until the shutdown starts, then lets requests under way end.
    pub async fn run(
        self,
        bolts: Bolts,
        shutdown: &Shutdown,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Result<(), ServerError> {
        let server = HttpServer::new(move || app(bolts.clone(), routes.clone()))
            .workers(self.workers)
            .disable_signals()
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(self.drain.as_secs())
            .listen(self.listener)
            .map_err(ServerError::Serve)?
            .run();
        let handle = server.handle();
        let token = shutdown.token();
        let stopper = tokio::spawn(async move {
            token.cancelled().await;
            handle.stop(true).await;
        });
        let served = server.await.map_err(ServerError::Serve);
        stopper.abort();
        served
    }
}

/// The whole application, as `run` serves it; tests drive it without a socket.
pub fn app(
    bolts: Bolts,
    routes: impl FnOnce(&mut ServiceConfig),
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .configure(|config| base(config, &bolts))
        .configure(routes)
        .default_service(web::to(not_found))
        .wrap(from_fn(answer::route_head_as_get))
        .wrap(from_fn(answer::catch_panics))
        .wrap(from_fn(answer::open_tidemark))
        .wrap(cors())
        .wrap(from_fn(answer::finish))
        .wrap(TracingLogger::<correlation::RequestSpan>::new())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What every process has, and the shared data of extractors and middleware.
fn base(config: &mut ServiceConfig, bolts: &Bolts) {
    config
        .app_data(web::Data::new(bolts.health.clone()))
        .app_data(web::Data::new(bolts.metrics.clone()))
        .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
        .app_data(web::PathConfig::default().error_handler(|error, _| {
            ApiError::not_found("no resource has this id")
                .caused_by(error.to_string())
                .into()
        }))
        .service(web::resource("/livez").route(web::get().to(health::livez)))
        .service(web::resource("/readyz").route(web::get().to(health::readyz)))
        .service(web::resource("/metrics").route(web::get().to(metrics::scrape)));
    if let Some(verifier) = &bolts.verifier {
        config.app_data(web::Data::new(verifier.clone()));
    }
    if let Some(tides) = &bolts.tides {
        config.app_data(web::Data::new(tides.clone()));
    }
    if let Some(openapi) = &bolts.openapi {
        let page = Config::default().validator_url("none");
        config.service(web::redirect("/docs", "/docs/")).service(
            SwaggerUi::new("/docs/{_:.*}")
                .config(page)
                .url("/openapi.json", openapi.clone()),
        );
    }
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(
        ProblemType::NotFound,
        "no resource has this path",
    ))
}

fn cors() -> Cors {
    Cors::default()
        .allow_any_origin()
        .send_wildcard()
        .allow_any_method()
        .allow_any_header()
        .expose_headers(EXPOSED_HEADERS)
        .max_age(86_400)
}

#[cfg(test)]
mod tests;
