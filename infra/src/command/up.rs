//! `tidemark up`: the servers on their fixed ports and the services, detached.

use anyhow::Result;
use testbed::{environment, namespace::Surroundings, stack::LocalStack};

use super::status;
use crate::{
    cli::Up,
    operation::{
        deployment::DATABASE,
        services::{Listen, Replicas, Starter},
    },
    output::{self, Step},
    service::{self, Profile},
};

pub(super) async fn run(args: Up) -> Result<()> {
    start(Replicas::of_each(args.replicas)).await?;
    status::show().await
}

/// Starts what does not run yet.
pub(super) async fn start(replicas: Replicas) -> Result<()> {
    if replicas == Replicas::of_each(0) {
        LocalStack::of_user()?.up().await?;
        return Ok(());
    }
    let programs = build().await?;
    let surroundings = Surroundings {
        endpoints: LocalStack::of_user()?.up().await?,
        database: DATABASE.to_owned(),
        prefix: String::new(),
    };
    let starter = Starter {
        dir: environment::state_dir()?,
        programs,
        listen: Listen::Usual,
        attached: false,
    };
    let started = starter.start(&surroundings, replicas).await?;
    if started == 0 {
        output::note("the services are running already");
    }
    Ok(())
}

async fn build() -> Result<std::path::PathBuf> {
    let profile = Profile::own();
    let step = Step::begin(format!("building the services ({})", profile.name()));
    let show = |line: &str| {
        if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
            step.detail(package.split(" (").next().unwrap_or(package));
        } else if line.contains("Blocking waiting") {
            step.detail("another cargo is at work");
        }
    };
    let programs = service::build_showing(profile, show).await?;
    step.done();
    Ok(programs)
}
