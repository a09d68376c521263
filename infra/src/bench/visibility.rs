//! From a write to the search that finds it, as a client sees it, beside writes of others.

mod floor;
mod probe;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use schemas::rest::import::ProductLine;
use schemas::view::View;

use self::floor::Floor;
use self::probe::{Background, Probes};
use super::elastic::Elastic;
use super::instance::{Instance, Servers, programs};
use super::load::{Failures, Latencies, Load};
use super::options::Options;
use super::report::{Finding, Machine, Report, Side, Spread, Target};
use super::workload::Visibility;
use super::{catalogue, import};
use crate::operation::connection::Connection;
use crate::output;
use crate::service::Service;

/// How much longer than the floor the median may take with nobody else writing, in milliseconds.
const IDLE_ABOVE_FLOOR: Limits = (10.0, 7.0);
/// Limits of p50 and p99, in milliseconds, for each rate of background writes a second.
const BUSY: [(u32, Limits, Limits); 2] = [
    (100, (50.0, 40.0), (250.0, 150.0)),
    (500, (150.0, 80.0), (500.0, 300.0)),
];

/// What must be, and what is aimed at.
type Limits = (f64, f64);

/// All rounds beside one rate of background writes.
#[derive(Debug)]
struct Stage {
    background: u32,
    from_acknowledged: Latencies,
    from_sent: Latencies,
    probes_failed: Failures,
    writes: Latencies,
    write_rates: Vec<f64>,
    writes_failed: Failures,
    floor: Latencies,
    floor_failed: Failures,
    /// By round, in milliseconds.
    p50_above_floor: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

pub(super) async fn run(options: &Options) -> Result<Report> {
    let workload = Visibility::read(options)?;
    ensure!(workload.probed_products > 0, "nothing is probed");
    let lines = catalogue::read(options, workload.products, workload.seed)?;
    let programs = programs(options).await?;
    let servers = Servers::open(options.shared).await?;
    let stages = measure(&servers, &programs, &workload, &lines).await?;
    servers.close().await?;
    report(&workload, &lines, stages)
}

async fn measure(
    servers: &Servers,
    programs: &Path,
    workload: &Visibility,
    lines: &[ProductLine],
) -> Result<Vec<Stage>> {
    let instance = Instance::start(servers, programs, &Service::ALL).await?;
    let connection = Connection::open(&instance.surroundings).await?;
    let ids = import::import(&instance, lines).await?;
    import::all_visible(&instance, &connection).await?;
    ensure!(ids.len() > workload.probed_products, "too few products");
    let (probed, others) = ids.split_at(workload.probed_products);
    let probes = Probes::open(&instance, probed)?;
    let background = Background::open(&instance, others, workload.seed)?;
    let elastic = Elastic::new(&instance.surroundings.endpoints.elasticsearch)?;
    let live = import::active_index(&connection, View::Products)?;
    let index = format!("{}bench-floor", instance.surroundings.prefix);
    let floor = Floor::open(elastic, &live, &index, workload).await?;

    output::note(format!("warming up for {} s", workload.warm_up_seconds));
    let warm_up = Duration::from_secs(workload.warm_up_seconds);
    floor.turn(warm_up / 6).await?;
    // At the highest rate: a JVM that still compiles takes a fifth of two cores for it.
    let rates = &workload.background_writes_per_second;
    let most_writes = rates.iter().copied().max().unwrap_or(0);
    beside(&probes, &background, most_writes, workload, warm_up).await?;
    let mut stages = Vec::new();
    for rate in &workload.background_writes_per_second {
        let mut stage = Stage::new(*rate);
        for round in 1..=workload.rounds {
            output::note(format!(
                "{rate} writes/s, round {round} of {}",
                workload.rounds
            ));
            let floor = floor
                .turn(Duration::from_secs(workload.floor_seconds))
                .await?;
            let lasting = Duration::from_secs(workload.round_seconds);
            let turn = beside(&probes, &background, *rate, workload, lasting).await?;
            stage.add(floor, turn);
            import::all_visible(&instance, &connection).await?;
        }
        stages.push(stage);
    }
    floor.close().await?;
    drop(connection);
    instance.end().await?;
    Ok(stages)
}

/// Probes and what they measured themselves, beside writes.
struct Turn {
    probes: Load,
    from_acknowledged: Latencies,
    writes: Load,
}

async fn beside(
    probes: &Probes,
    background: &Background,
    rate: u32,
    workload: &Visibility,
    lasting: Duration,
) -> Result<Turn> {
    let probing = probes.turn(workload.probes_per_second, lasting);
    let ((probes, from_acknowledged), writes) =
        futures::try_join!(probing, background.turn(rate, lasting))?;
    Ok(Turn {
        probes,
        from_acknowledged,
        writes,
    })
}

impl Stage {
    fn new(background: u32) -> Self {
        Self {
            background,
            from_acknowledged: Latencies::new(),
            from_sent: Latencies::new(),
            probes_failed: Failures::default(),
            writes: Latencies::new(),
            write_rates: Vec::new(),
            writes_failed: Failures::default(),
            floor: Latencies::new(),
            floor_failed: Failures::default(),
            p50_above_floor: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
        }
    }

    fn add(&mut self, floor: Load, turn: Turn) {
        let p50 = turn.from_acknowledged.quantile(0.5);
        self.p50_above_floor
            .push(p50 - floor.latencies.quantile(0.5));
        self.p50.push(p50);
        self.p99.push(turn.from_acknowledged.quantile(0.99));
        self.floor.add(&floor.latencies);
        self.floor_failed.extend(floor.failures);
        self.from_acknowledged.add(&turn.from_acknowledged);
        self.from_sent.add(&turn.probes.latencies);
        self.probes_failed.extend(turn.probes.failures);
        self.writes.add(&turn.writes.latencies);
        self.write_rates.push(turn.writes.rate());
        self.writes_failed.extend(turn.writes.failures);
    }

    fn findings(&self) -> Vec<Finding> {
        let finding = |name: String, rounds: &[f64], (target, goal): Limits| Finding {
            name,
            value: Spread::of(rounds.to_vec()),
            target: Target::AtMost(target),
            goal: Some(goal),
        };
        if self.background == 0 {
            let name = "idle: p50 − floor's p50, ms".to_owned();
            return vec![finding(name, &self.p50_above_floor, IDLE_ABOVE_FLOOR)];
        }
        let limits = BUSY.iter().find(|(rate, ..)| *rate == self.background);
        let of_rate = limits.map(|(rate, p50, p99)| {
            [
                finding(format!("{rate}/s: p50, ms"), &self.p50, *p50),
                finding(format!("{rate}/s: p99, ms"), &self.p99, *p99),
            ]
        });
        of_rate.into_iter().flatten().collect()
    }

    fn sides(self) -> Vec<Side> {
        let at = match self.background {
            0 => "idle".to_owned(),
            rate => format!("{rate}/s"),
        };
        let mut sides = vec![
            Side::new(format!("{at}: from acknowledged"))
                .latency(&self.from_acknowledged)
                .failures(&self.probes_failed),
            Side::new(format!("{at}: from sent")).latency(&self.from_sent),
            Side::new(format!("{at}: floor"))
                .latency(&self.floor)
                .failures(&self.floor_failed),
        ];
        if self.background > 0 {
            let writes = Side::new(format!("{at}: background writes"));
            sides.push(
                writes
                    .rate(Spread::of(self.write_rates))
                    .latency(&self.writes)
                    .failures(&self.writes_failed),
            );
        }
        sides
    }
}

fn report(workload: &Visibility, lines: &[ProductLine], stages: Vec<Stage>) -> Result<Report> {
    let mut described = serde_json::to_value(workload)?;
    described["products"] = lines.len().into();
    Ok(Report {
        bench: "visibility",
        machine: Machine::this(),
        workload: described,
        findings: stages.iter().flat_map(Stage::findings).collect(),
        sides: stages.into_iter().flat_map(Stage::sides).collect(),
    })
}
