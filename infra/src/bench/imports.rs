//! Products per second of an import, beside the same rows and events inserted raw.
//!
//! An import counts from the first byte of its body to its totals; the floor from its first
//! transaction to the end of its last. Each import has a new instance, so that every one meets empty
//! tables, as the floor does.

mod floor;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use schemas::rest::import::ProductLine;

use self::floor::Floor;
use super::catalogue;
use super::instance::{Instance, Servers, admin_token, programs};
use super::options::Options;
use super::report::{Finding, Machine, Report, Side, Spread, Target};
use super::workload::Import;
use crate::operation::import::{Destination, send};
use crate::output;
use crate::service::Service;

const TARGET_PER_SECOND: f64 = 2_000.0;
const GOAL_PER_SECOND: f64 = 3_000.0;
/// Of a floor that has both cores for PostgreSQL, and neither reads, decides nor answers.
const TARGET: f64 = 0.3;
const GOAL: f64 = 0.5;

/// Products per second by round: of the import, and of each floor.
#[derive(Debug)]
struct Rates {
    import: Vec<f64>,
    floors: Vec<Vec<f64>>,
}

pub(super) async fn run(options: &Options) -> Result<Report> {
    let workload = Import::read(options)?;
    let lines = catalogue::read(options, workload.products, workload.seed)?;
    let programs = programs(options).await?;
    let servers = Servers::open(options.shared).await?;
    let rates = measure(&servers, &programs, &workload, &lines).await?;
    servers.close().await?;
    report(&workload, rates, lines.len())
}

async fn measure(
    servers: &Servers,
    programs: &Path,
    workload: &Import,
    lines: &[ProductLine],
) -> Result<Rates> {
    let body = to_body(lines)?;
    let mut services = vec![Service::CommandSvc];
    if workload.projector_beside {
        services.push(Service::Projector);
    }
    let mut tables = Instance::start(servers, programs, &[Service::CommandSvc]).await?;
    tables.stop(Service::CommandSvc).await?;
    let mut floor = None;
    let mut rates = Rates {
        import: Vec::new(),
        floors: vec![Vec::new(); workload.floor_connections.len()],
    };
    for round in 1..=workload.warm_up_rounds + workload.rounds {
        let counted = round.checked_sub(workload.warm_up_rounds + 1);
        output::note(counted.map_or("warming up".to_owned(), |counted| {
            format!("round {} of {}", counted + 1, workload.rounds)
        }));
        let instance = Instance::start(servers, programs, &services).await?;
        let imported = import(&instance, body.clone(), lines.len()).await?;
        if counted.is_some() {
            rates.import.push(imported);
        }
        let floor = match &mut floor {
            Some(floor) => floor,
            None => floor.insert(Floor::of(&instance, &tables, workload).await?),
        };
        instance.end().await?;
        for (floors, connections) in rates.floors.iter_mut().zip(&workload.floor_connections) {
            let rate = floor.insert(*connections).await?;
            if counted.is_some() {
                floors.push(rate);
            }
        }
    }
    drop(floor);
    tables.end().await?;
    Ok(rates)
}

fn to_body(lines: &[ProductLine]) -> Result<Bytes> {
    let mut body = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut body, line)?;
        body.push(b'\n');
    }
    Ok(body.into())
}

/// Products per second. All that are taken are new; real catalogues have a line that is refused.
async fn import(instance: &Instance, body: Bytes, products: usize) -> Result<f64> {
    let destination = Destination {
        url: instance.url(Service::CommandSvc)?.to_owned(),
        token: admin_token()?,
    };
    let started = Instant::now();
    let totals = send(body.into(), &destination, |_| Ok(()));
    let totals = totals.await.with_context(|| instance.see_logs())?;
    let took = started.elapsed().as_secs_f64();
    ensure!(
        totals.created > 0 && totals.created + totals.refused == products as u64,
        "of {products} products {totals:?}; {}",
        instance.see_logs()
    );
    Ok(products as f64 / took)
}

fn report(workload: &Import, rates: Rates, products: usize) -> Result<Report> {
    let import = Spread::of(rates.import);
    let best = (0..import.rounds().len()).map(|round| {
        let floors = rates.floors.iter().map(|floor| floor[round]);
        floors.fold(0.0, f64::max)
    });
    let mut findings = vec![Finding {
        name: "products per second".to_owned(),
        value: import.clone(),
        target: Target::AtLeast(TARGET_PER_SECOND),
        goal: Some(GOAL_PER_SECOND),
    }];
    // No projector works beside the floor.
    if !workload.projector_beside {
        findings.push(Finding {
            name: "tidemark / better floor".to_owned(),
            value: import.over(&Spread::of(best.collect())),
            target: Target::AtLeast(TARGET),
            goal: Some(GOAL),
        });
    }
    let mut sides = vec![Side::new("tidemark").rate(import)];
    for (floor, connections) in rates.floors.into_iter().zip(&workload.floor_connections) {
        let name = format!("floor, {connections} connections");
        sides.push(Side::new(name).rate(Spread::of(floor)));
    }
    let mut described = serde_json::to_value(workload)?;
    described["products"] = products.into();
    Ok(Report {
        bench: "import",
        machine: Machine::this(),
        workload: described,
        sides,
        findings,
    })
}
