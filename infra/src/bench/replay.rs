//! Documents per second of a replay, beside the same documents by bulk.
//!
//! A replay counts from the announcement of its build to the switch of its readers; the floor from
//! the first bulk to the end of the refresh, into an index made beforehand.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use schemas::rest::import::ProductLine;
use schemas::view::View;

use super::elastic::{Elastic, to_bulks};
use super::instance::{Instance, Servers, programs};
use super::options::Options;
use super::report::{Finding, Machine, Report, Side, Spread, Target};
use super::workload::Replay;
use super::{catalogue, import};
use crate::operation::connection::Connection;
use crate::operation::replay::replay;
use crate::output;
use crate::service::Service;

const TARGET: f64 = 0.8;
const GOAL: f64 = 0.9;

/// Documents per second by round: of the replay, and of each floor.
#[derive(Debug, Default)]
struct Rates {
    replay: Vec<f64>,
    floors: Vec<Vec<f64>>,
}

/// What the floor sends.
#[derive(Debug)]
struct Floor {
    elastic: Elastic,
    index: String,
    bulks: Vec<Bytes>,
    documents: usize,
}

pub(super) async fn run(options: &Options) -> Result<Report> {
    let workload = Replay::read(options)?;
    let lines = catalogue::read(options, workload.products, workload.seed)?;
    let programs = programs(options).await?;
    let servers = Servers::open(options.shared).await?;
    let (rates, documents) = measure(&servers, &programs, &workload, &lines).await?;
    servers.close().await?;
    report(&workload, rates, documents)
}

async fn measure(
    servers: &Servers,
    programs: &Path,
    workload: &Replay,
    lines: &[ProductLine],
) -> Result<(Rates, usize)> {
    let services = [Service::CommandSvc, Service::Projector];
    let instance = Instance::start(servers, programs, &services).await?;
    let connection = Connection::open(&instance.surroundings).await?;
    import::import(&instance, lines).await?;
    import::all_visible(&instance, &connection).await?;

    let mut floor = Floor::of(&instance, &connection, workload).await?;
    ensure!(floor.documents > 0, "the view has no documents");
    let mut rates = Rates {
        replay: Vec::new(),
        floors: vec![Vec::new(); workload.floor_bulks_in_flight.len()],
    };
    for round in 1..=workload.warm_up_rounds + workload.rounds {
        let is_counted = round > workload.warm_up_rounds;
        output::note(if is_counted {
            format!(
                "round {} of {}",
                round - workload.warm_up_rounds,
                workload.rounds
            )
        } else {
            "warming up".to_owned()
        });
        let replayed = replayed(&connection, floor.documents).await?;
        floor.remake(&connection).await?;
        if is_counted {
            rates.replay.push(replayed);
        }
        for (floors, in_flight) in rates.floors.iter_mut().zip(&workload.floor_bulks_in_flight) {
            let rate = floor.fill(&connection, *in_flight).await?;
            if is_counted {
                floors.push(rate);
            }
        }
    }
    floor.elastic.delete(&floor.index).await?;
    drop(connection);
    instance.end().await?;
    Ok((rates, floor.documents))
}

/// Documents per second from the announcement to the switch.
async fn replayed(connection: &Connection, documents: usize) -> Result<f64> {
    let mut announced = None;
    replay(connection, View::Products, |_| {
        announced.get_or_insert_with(Instant::now);
    })
    .await?;
    let took = announced.map_or(f64::NAN, |at| at.elapsed().as_secs_f64());
    Ok(documents as f64 / took)
}

impl Floor {
    async fn of(instance: &Instance, connection: &Connection, workload: &Replay) -> Result<Self> {
        let elastic = Elastic::new(&instance.surroundings.endpoints.elasticsearch)?;
        let live = import::active_index(connection, View::Products)?;
        let documents = elastic.documents(&live, "product_id").await?;
        let index = format!("{}bench-floor", instance.surroundings.prefix);
        let bulks = to_bulks(&documents, &index, workload.floor_documents_per_bulk)?;
        Ok(Self {
            elastic,
            index,
            bulks,
            documents: documents.len(),
        })
    }

    /// Empties the index.
    async fn remake(&self, connection: &Connection) -> Result<()> {
        let live = import::active_index(connection, View::Products)?;
        self.elastic.delete(&self.index).await?;
        self.elastic.create_like(&live, &self.index).await
    }

    /// Documents per second into an empty index.
    async fn fill(&mut self, connection: &Connection, in_flight: usize) -> Result<f64> {
        self.remake(connection).await?;
        let started = Instant::now();
        self.elastic.bulks(&self.bulks, in_flight).await?;
        self.elastic.refresh(&self.index).await?;
        Ok(self.documents as f64 / started.elapsed().as_secs_f64())
    }
}

fn report(workload: &Replay, rates: Rates, documents: usize) -> Result<Report> {
    let replay = Spread::of(rates.replay);
    let best = (0..replay.rounds().len()).map(|round| {
        rates
            .floors
            .iter()
            .map(|floor| floor[round])
            .fold(0.0, f64::max)
    });
    let finding = Finding {
        name: "tidemark / better floor".to_owned(),
        value: replay.over(&Spread::of(best.collect())),
        target: Target::AtLeast(TARGET),
        goal: Some(GOAL),
    };
    let mut sides = vec![Side::new("tidemark").rate(replay)];
    for (floor, in_flight) in rates
        .floors
        .into_iter()
        .zip(&workload.floor_bulks_in_flight)
    {
        let name = format!("floor, {in_flight} bulks in flight");
        sides.push(Side::new(name).rate(Spread::of(floor)));
    }
    let mut described = serde_json::to_value(workload)?;
    described["products"] = documents.into();
    Ok(Report {
        bench: "replay",
        machine: Machine::this(),
        workload: described,
        sides,
        findings: vec![finding],
    })
}
