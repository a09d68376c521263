//! What thousands of waiting reads cost a replica while nothing changes, and the reads beside them.

mod crowd;
mod replica;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use chassis::server::raise_open_files;
use reqwest::Method;
use schemas::rest::import::ProductLine;
use schemas::view::View;
use serde_json::json;

use self::crowd::Crowd;
use self::replica::Replica;
use super::elastic::Elastic;
use super::instance::{Instance, Servers, programs};
use super::load::{Failures, Latencies, Load};
use super::options::Options;
use super::report::{Finding, Machine, Report, Side, Spread, Target};
use super::workload::Waiting;
use super::{catalogue, import};
use crate::operation::connection::Connection;
use crate::output;
use crate::service::Service;

/// Share of a core.
const CPU: (f64, f64) = (0.10, 0.05);
/// How much longer the p99 of other reads may be.
const P99: (f64, f64) = (1.5, 1.1);

#[derive(Debug)]
struct Measured {
    alone: Latencies,
    alone_failed: Failures,
    beside: Latencies,
    beside_failed: Failures,
    crowd_failed: Failures,
    /// By round.
    cpu: Vec<f64>,
}

/// One round.
struct Turn {
    alone: Load,
    beside: Load,
    crowd_failed: Failures,
    /// Of query-svc, in shares of a core.
    cpu: f64,
}

pub(super) async fn run(options: &Options) -> Result<Report> {
    raise_open_files();
    let workload = Waiting::read(options)?;
    ensure!(workload.changed_products > 0, "nothing is waited for");
    let lines = catalogue::read(options, workload.products, workload.seed)?;
    let programs = programs(options).await?;
    let servers = Servers::open(options.shared).await?;
    let measured = measure(&servers, &programs, &workload, &lines).await?;
    servers.close().await?;
    report(&workload, &lines, measured)
}

async fn measure(
    servers: &Servers,
    programs: &Path,
    workload: &Waiting,
    lines: &[ProductLine],
) -> Result<Measured> {
    let instance = Instance::start(servers, programs, &Service::ALL).await?;
    let connection = Connection::open(&instance.surroundings).await?;
    let ids = import::import(&instance, lines).await?;
    import::all_visible(&instance, &connection).await?;
    ensure!(ids.len() >= workload.changed_products, "too few products");
    let index = import::active_index(&connection, View::Products)?;
    let elastic = Elastic::new(&instance.surroundings.endpoints.elasticsearch)?;
    let replica = Replica::new(instance.url(Service::QuerySvc)?)?;
    let mut crowd = Crowd::open(&instance, &ids[..workload.changed_products], workload)?;

    let mut measured = Measured::new();
    for round in 0..workload.warm_up_rounds + workload.rounds {
        output::note(match round.checked_sub(workload.warm_up_rounds) {
            Some(counted) => format!("round {} of {}", counted + 1, workload.rounds),
            None => "warming up".to_owned(),
        });
        deny_writes(&elastic, &index, true).await?;
        let turn = turn(&replica, &mut crowd, workload).await;
        deny_writes(&elastic, &index, false).await?;
        let turn = turn.with_context(|| instance.see_logs())?;
        if round >= workload.warm_up_rounds {
            measured.add(turn);
        }
        import::all_visible(&instance, &connection).await?;
    }
    drop(connection);
    instance.end().await?;
    Ok(measured)
}

async fn turn(replica: &Replica, crowd: &mut Crowd, workload: &Waiting) -> Result<Turn> {
    let lasting = Duration::from_millis(workload.round_milliseconds);
    let alone = replica.reads(workload.reads_per_second, lasting).await?;
    crowd.change_prices().await?;
    let waiting = crowd.wait();
    let beside = async {
        replica.until_waiting(crowd.len()).await?;
        let cpu = replica.cpu(lasting).await?;
        let reads = replica.reads(workload.reads_per_second, lasting).await?;
        let still = replica.waiting().await?;
        ensure!(
            still == crowd.len(),
            "only {still} clients waited to the end of the round"
        );
        Ok((reads, cpu))
    };
    let (crowd_failed, measured) = tokio::join!(waiting, beside);
    let (beside, cpu) = measured?;
    Ok(Turn {
        alone,
        beside,
        crowd_failed,
        cpu,
    })
}

async fn deny_writes(elastic: &Elastic, index: &str, denied: bool) -> Result<()> {
    let settings = json!({"index": {"blocks": {"write": denied}}});
    let body = Bytes::from(serde_json::to_vec(&settings)?);
    let path = format!("/{index}/_settings");
    elastic.ask(Method::PUT, &path, body).await.map(drop)
}

impl Measured {
    fn new() -> Self {
        Self {
            alone: Latencies::new(),
            alone_failed: Failures::default(),
            beside: Latencies::new(),
            beside_failed: Failures::default(),
            crowd_failed: Failures::default(),
            cpu: Vec::new(),
        }
    }

    fn add(&mut self, turn: Turn) {
        self.cpu.push(turn.cpu);
        self.alone.add(&turn.alone.latencies);
        self.alone_failed.extend(turn.alone.failures);
        self.beside.add(&turn.beside.latencies);
        self.beside_failed.extend(turn.beside.failures);
        self.crowd_failed.extend(turn.crowd_failed);
    }
}

fn report(workload: &Waiting, lines: &[ProductLine], measured: Measured) -> Result<Report> {
    let mut described = serde_json::to_value(workload)?;
    described["products"] = lines.len().into();
    let p99 = measured.beside.quantile(0.99) / measured.alone.quantile(0.99);
    let finding = |name: &str, rounds, (target, goal)| Finding {
        name: name.to_owned(),
        value: Spread::of(rounds),
        target: Target::AtMost(target),
        goal: Some(goal),
    };
    Ok(Report {
        bench: "waiting",
        machine: Machine::this(),
        workload: described,
        findings: vec![
            finding("query-svc, share of a core", measured.cpu, CPU),
            finding("other reads: p99 / p99 alone", vec![p99], P99),
        ],
        sides: vec![
            Side::new("other reads, alone")
                .latency(&measured.alone)
                .failures(&measured.alone_failed),
            Side::new("other reads, beside waiters")
                .latency(&measured.beside)
                .failures(&measured.beside_failed),
            Side::new("waiters").failures(&measured.crowd_failed),
        ],
    })
}
