//! Searches per second: without a tidemark, with one, and the same bodies straight to Elasticsearch.

mod mix;

use std::cell::RefCell;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderValue;
use schemas::rest::import::ProductLine;
use schemas::view::View;

use self::mix::Mix;
use super::elastic::Elastic;
use super::instance::{Instance, Servers, http, programs};
use super::load::{Failures, Latencies, Load, Until, closed_loop};
use super::options::Options;
use super::report::{Finding, Machine, Report, Side, Spread, Target};
use super::workload::Search;
use super::{catalogue, import};
use crate::operation::connection::Connection;
use crate::operation::rest::TIDEMARK;
use crate::output;
use crate::service::Service;

const TARGET: f64 = 0.8;
const GOAL: f64 = 0.95;
const NAMES: [&str; 3] = ["floor", "without tidemark", "with tidemark"];

/// What takes turns.
struct Turns<'a> {
    workload: &'a Search,
    mix: &'a Mix,
    http: reqwest::Client,
    elastic: &'a Elastic,
    index: String,
    /// What each client was answered last.
    tidemarks: RefCell<Vec<HeaderValue>>,
}

/// What one of them did over all rounds.
#[derive(Debug)]
struct Measured {
    rates: Vec<f64>,
    latencies: Latencies,
    failures: Failures,
}

pub(super) async fn run(options: &Options) -> Result<Report> {
    let workload = Search::read(options)?;
    let lines = catalogue::read(options, workload.products, workload.seed)?;
    let programs = programs(options).await?;
    let servers = Servers::open(options.shared).await?;
    let measured = measure(&servers, &programs, &workload, &lines).await?;
    servers.close().await?;
    report(&workload, lines.len(), measured)
}

async fn measure(
    servers: &Servers,
    programs: &Path,
    workload: &Search,
    lines: &[ProductLine],
) -> Result<[Measured; 3]> {
    let instance = Instance::start(servers, programs, &Service::ALL).await?;
    let connection = Connection::open(&instance.surroundings).await?;
    import::import(&instance, lines).await?;
    import::all_visible(&instance, &connection).await?;

    let index = import::active_index(&connection, View::Products)?;
    let elastic = Elastic::new(&instance.surroundings.endpoints.elasticsearch)?;
    let (http, url) = (http()?, instance.url(Service::QuerySvc)?);
    let mix = Mix::draw(workload, lines, &http, url, &elastic, &index).await?;
    output::note(format!("{} searches, {} bodies", mix.len(), mix.bodies()));
    let turns = Turns::new(workload, &mix, http, &elastic, index, url).await?;

    output::note("warming up");
    for _ in 0..workload.warm_up_rounds {
        turns.floor().await?;
        turns.without().await?;
        turns.with().await?;
    }
    let mut measured = NAMES.map(|_| Measured::new());
    for round in 1..=workload.rounds {
        output::note(format!("round {round} of {}", workload.rounds));
        let [floor, without, with] = &mut measured;
        floor.add(turns.floor().await?);
        without.add(turns.without().await?);
        with.add(turns.with().await?);
    }
    drop(connection);
    instance.end().await?;
    Ok(measured)
}

impl<'a> Turns<'a> {
    async fn new(
        workload: &'a Search,
        mix: &'a Mix,
        http: reqwest::Client,
        elastic: &'a Elastic,
        index: String,
        url: &str,
    ) -> Result<Self> {
        let first = http
            .get(format!("{url}/v1/products?limit=1"))
            .send()
            .await?;
        let tidemark = first
            .headers()
            .get(TIDEMARK)
            .context("no tidemark was answered")?;
        Ok(Self {
            tidemarks: RefCell::new(vec![tidemark.clone(); workload.clients]),
            workload,
            mix,
            http,
            elastic,
            index,
        })
    }

    async fn turn(&self, ask: impl AsyncFn(usize, usize) -> Result<()>) -> Result<Load> {
        let (clients, searches) = (self.workload.clients, self.mix.len());
        let until = Until::Asked(searches as u64);
        closed_loop(clients, until, async |client, number| {
            ask(client, number as usize % searches).await
        })
        .await
    }

    async fn floor(&self) -> Result<Load> {
        self.turn(async |_, search| {
            for body in &self.mix.search(search).bodies {
                self.elastic.search(&self.index, body.clone()).await?;
            }
            Ok(())
        })
        .await
    }

    async fn without(&self) -> Result<Load> {
        self.turn(async |_, search| self.ask(search, None).await.map(drop))
            .await
    }

    async fn with(&self) -> Result<Load> {
        self.turn(async |client, search| {
            let held = self.tidemarks.borrow()[client].clone();
            let answered = self.ask(search, Some(held)).await?;
            self.tidemarks.borrow_mut()[client] = answered;
            Ok(())
        })
        .await
    }

    /// Answers the tidemark of the answer.
    async fn ask(&self, search: usize, tidemark: Option<HeaderValue>) -> Result<HeaderValue> {
        let mut request = self.http.get(self.mix.search(search).url.clone());
        if let Some(tidemark) = tidemark {
            request = request.header(TIDEMARK, tidemark);
        }
        let answer = request.send().await?;
        let (status, tidemark) = (answer.status(), answer.headers().get(TIDEMARK).cloned());
        let text = answer.bytes().await?;
        ensure!(
            status.is_success(),
            "{status}: {}",
            String::from_utf8_lossy(&text)
        );
        tidemark.context("no tidemark was answered")
    }
}

impl Measured {
    fn new() -> Self {
        Self {
            rates: Vec::new(),
            latencies: Latencies::new(),
            failures: Failures::default(),
        }
    }

    fn add(&mut self, load: Load) {
        self.rates.push(load.rate());
        self.latencies.add(&load.latencies);
        self.failures.extend(load.failures);
    }
}

fn report(workload: &Search, products: usize, measured: [Measured; 3]) -> Result<Report> {
    let rates = measured
        .each_ref()
        .map(|side| Spread::of(side.rates.clone()));
    let findings = (1..NAMES.len()).map(|side| Finding {
        name: format!("{} / floor", NAMES[side]),
        value: rates[side].over(&rates[0]),
        target: Target::AtLeast(TARGET),
        goal: Some(GOAL),
    });
    let findings = findings.collect();
    let sides = NAMES.iter().zip(&measured).zip(rates);
    let sides = sides.map(|((name, side), rate)| {
        Side::new(*name)
            .rate(rate)
            .latency(&side.latencies)
            .failures(&side.failures)
    });
    let mut described = serde_json::to_value(workload)?;
    described["products"] = products.into();
    Ok(Report {
        bench: "search",
        machine: Machine::this(),
        workload: described,
        sides: sides.collect(),
        findings,
    })
}
