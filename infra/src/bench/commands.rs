//! Price changes per second: over REST, and as the same statements from raw connections.
//!
//! The floor has a database of its own with the same content, so that nobody relays its events and
//! neither side reads the other's dead rows. command-svc is idle while the floor has its turn.

mod floor;
mod rest;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use schemas::id::ProductId;
use schemas::rest::import::ProductLine;

use self::floor::Floor;
use self::rest::Rest;
use super::instance::{Instance, Servers, programs};
use super::load::{Failures, Latencies, Until};
use super::options::Options;
use super::report::{Finding, Machine, Report, Side, Spread, Target};
use super::workload::Commands;
use super::{catalogue, import};
use crate::output;
use crate::service::Service;

const TARGET: f64 = 0.5;
const GOAL: f64 = 1.5;

/// What one side did over all rounds.
#[derive(Debug)]
struct Turns {
    name: String,
    rates: Vec<f64>,
    latencies: Latencies,
    failures: Failures,
}

pub(super) async fn run(options: &Options) -> Result<Report> {
    let workload = Commands::read(options)?;
    let lines = catalogue::read(options, workload.products, workload.seed)?;
    let programs = programs(options).await?;
    let servers = Servers::open(options.shared).await?;
    let measured = measure(&servers, &programs, &workload, &lines).await?;
    servers.close().await?;
    report(&workload, measured)
}

async fn measure(
    servers: &Servers,
    programs: &Path,
    workload: &Commands,
    lines: &[ProductLine],
) -> Result<Vec<Turns>> {
    let (raw, raw_ids) = filled(servers, programs, lines, true).await?;
    let (tidemark, ids) = filled(servers, programs, lines, false).await?;
    let rest = Rest::open(&tidemark, ids, workload)?;
    let floor = Floor::open(&raw, raw_ids, workload).await?;
    rest.relayed().await?;

    let mut turns = vec![Turns::of("tidemark".to_owned())];
    for connections in &workload.floor_connections {
        turns.push(Turns::of(format!("floor, {connections} connections")));
    }
    output::note("warming up");
    let warm_up = Until::Passed(Duration::from_secs(workload.warm_up_seconds));
    rest.change_prices(warm_up).await?;
    rest.relayed().await?;
    for connections in &workload.floor_connections {
        floor.change_prices(*connections, warm_up).await?;
    }
    let until = Until::Passed(Duration::from_secs(workload.round_seconds));
    for round in 1..=workload.rounds {
        output::note(format!("round {round} of {}", workload.rounds));
        let (tidemark, floors) = turns.split_first_mut().expect("tidemark is there");
        tidemark.add(rest.change_prices(until).await?);
        rest.relayed().await?;
        for (turns, connections) in floors.iter_mut().zip(&workload.floor_connections) {
            turns.add(floor.change_prices(*connections, until).await?);
        }
    }
    tidemark.end().await?;
    raw.end().await?;
    Ok(turns)
}

/// A Tidemark of command-svc alone with these products; without it too, where only its tables are
/// wanted.
async fn filled(
    servers: &Servers,
    programs: &Path,
    lines: &[ProductLine],
    tables_only: bool,
) -> Result<(Instance, Vec<ProductId>)> {
    let mut instance = Instance::start(servers, programs, &[Service::CommandSvc]).await?;
    let ids = import::import(&instance, lines).await?;
    if tables_only {
        instance.stop(Service::CommandSvc).await?;
    }
    Ok((instance, ids))
}

impl Turns {
    fn of(name: String) -> Self {
        Self {
            name,
            rates: Vec::new(),
            latencies: Latencies::new(),
            failures: Failures::default(),
        }
    }

    fn add(&mut self, load: super::load::Load) {
        self.rates.push(load.rate());
        self.latencies.add(&load.latencies);
        self.failures.extend(load.failures);
    }
}

fn report(workload: &Commands, turns: Vec<Turns>) -> Result<Report> {
    let rates: Vec<Spread> = turns
        .iter()
        .map(|turns| Spread::of(turns.rates.clone()))
        .collect();
    let (tidemark, floors) = rates.split_first().expect("tidemark is there");
    let best = (0..tidemark.rounds().len()).map(|round| {
        floors
            .iter()
            .map(|floor| floor.rounds()[round])
            .fold(0.0, f64::max)
    });
    let finding = Finding {
        name: "tidemark / better floor".to_owned(),
        value: tidemark.over(&Spread::of(best.collect())),
        target: Target::AtLeast(TARGET),
        goal: Some(GOAL),
    };
    let sides = turns.iter().zip(rates).map(|(turns, rate)| {
        Side::new(&turns.name)
            .rate(rate)
            .latency(&turns.latencies)
            .failures(&turns.failures)
    });
    Ok(Report {
        bench: "commands",
        machine: Machine::this(),
        workload: serde_json::to_value(workload)?,
        sides: sides.collect(),
        findings: vec![finding],
    })
}
