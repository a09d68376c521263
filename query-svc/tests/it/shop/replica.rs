//! A replica of query-svc inside the test's process, on a port of its own.

use chassis::clock::Deadline;
use chassis::metrics::Metrics;
use chassis::shutdown::Shutdown;
use clap::Parser;
use query_svc::QueryService;
use query_svc::config::QueryArgs;
use std::time::Duration;

use super::client::{Answer, Client};
use super::{LIMIT, Shop};

pub struct Replica {
    pub url: String,
    shutdown: Shutdown,
}

impl Replica {
    /// Started and ready.
    pub async fn start(shop: &Shop, options: &[&str]) -> Self {
        let replica = Self::launch_with(shop, options);
        replica.until_readyz_is(200).await;
        replica
    }

    /// Waits until `/readyz` answers so.
    pub async fn until_readyz_is(&self, status: u16) -> Answer {
        let deadline = Deadline::within(LIMIT);
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let client = self.client();
        loop {
            let answer = client.get("/readyz").await;
            if answer.status == status {
                return answer;
            }
            assert!(!deadline.has_passed(), "not {status} in time: {answer:?}");
            ticks.tick().await;
        }
    }

    /// Started.
    pub fn launch(shop: &Shop) -> Self {
        Self::launch_with(shop, &[])
    }

    fn launch_with(shop: &Shop, options: &[&str]) -> Self {
        let endpoints = shop.namespace.endpoints();
        let reader = shop.namespace.database_url.replacen(
            "postgres://postgres@",
            "postgres://tidemark_reader@",
            1,
        );
        let mut args = vec![
            "query-svc".to_owned(),
            "--bind=127.0.0.1:0".to_owned(),
            "--workers=1".to_owned(),
            format!("--database-url={reader}"),
            format!("--kafka-bootstrap={}", endpoints.kafka),
            format!("--prefix={}", shop.namespace.prefix),
        ];
        let elasticsearch = format!("--elasticsearch-url={}", endpoints.elasticsearch);
        let is_told = |option: &&str| option.starts_with("--elasticsearch-url");
        if !options.iter().any(is_told) {
            args.push(elasticsearch);
        }
        args.extend(options.iter().map(|option| (*option).to_owned()));
        let args = QueryArgs::parse_from(args);
        let service = QueryService::bind(args).unwrap();
        let (url, shutdown) = (service.url(), Shutdown::default());
        let running = shutdown.clone();
        tokio::spawn(async move {
            let ended = service.run(Metrics::detached(), &running).await;
            assert!(ended.is_ok() || running.has_failed(), "{ended:?}");
        });
        Self { url, shutdown }
    }

    /// A client that has seen nothing yet.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// True once it has stopped by itself.
    pub async fn stops_within(&self, limit: Duration) -> bool {
        let token = self.shutdown.token();
        let stopped = Deadline::within(limit).run(token.cancelled()).await;
        stopped.is_ok() && self.shutdown.has_failed()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}
