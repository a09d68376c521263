//! `tidemark demo`: everything started, a shop to look at, and a write that is found at once by
//! whichever replica is asked.

use anyhow::{Context, Result};

use self::tour::Tour;
use super::{import, lag, token, up};
use crate::{
    cli::{Demo, Signing},
    operation::{
        deployment::Deployment,
        import::{Destination, send},
        lag::lag as ask_for_lag,
        services::Replicas,
    },
    output::{self, Bar, grouped},
    service::Service,
    shop,
};

mod tour;

/// Two replicas to read from, so that there is another one to ask.
const REPLICAS: Replicas = Replicas {
    command_svc: 1,
    projector: 1,
    query_svc: 2,
};

pub(super) async fn run(args: Demo) -> Result<()> {
    up::start(REPLICAS).await?;
    let deployment = Deployment::current()?;
    fill(&deployment, &args.signing).await?;
    let token = token::staff(&args.signing)?;
    let mut tour = Tour::new(&deployment, &token)?;
    tour.warm_up().await?;
    tour.write_and_find().await?;
    tour.change_and_find().await?;
    output::line("\nHow far the views are behind the events now (`lag`):\n");
    output::line(lag::in_words(&ask_for_lag(&deployment).await?));
    output::line(invitation(&deployment)?);
    Ok(())
}

/// Imports the sample shop; what is there already stays as it is.
async fn fill(deployment: &Deployment, signing: &Signing) -> Result<()> {
    let destination = Destination {
        url: deployment.url(Service::CommandSvc)?.to_owned(),
        token: token::staff(signing)?,
    };
    let products = shop::products();
    let total = products.len() as u64;
    let mut body = Vec::new();
    for product in &products {
        serde_json::to_writer(&mut body, product).context("writing a product down")?;
        body.push(b'\n');
    }
    let mut bar = Bar::begin("importing the sample shop", "products", total);
    let totals = send(body.into(), &destination, |answer| {
        bar.at(answer.line, total);
        Ok(())
    });
    let totals = totals.await?;
    let took = bar.elapsed();
    drop(bar);
    let searchable = import::wait(deployment.url(Service::QuerySvc)?, &totals.tidemark).await?;
    output::line(format!(
        "The sample shop: {} products in {} categories, {} new, in {:.1} s; all searchable {:.1} s \
         later.",
        grouped(total),
        shop::categories(&products),
        grouped(totals.created),
        took.as_secs_f64(),
        searchable.as_secs_f64()
    ));
    Ok(())
}

fn invitation(deployment: &Deployment) -> Result<String> {
    let commands = deployment.url(Service::CommandSvc)?;
    let queries = deployment.url(Service::QuerySvc)?;
    let projector = deployment.url(Service::Projector)?;
    Ok(format!(
        "
Everything stays up. Try:

  curl -s '{queries}/v1/products?q=waterprof+hiking+boot&facets=brand,price&limit=3'
  curl -s '{queries}/v1/products?q=bear&in_stock=true&max_price=5000&limit=3'
  curl -s '{queries}/v1/products/suggest?q=wat'
  curl -s '{queries}/v1/categories'
  curl -s '{projector}/v1/lag'

A write, whose answer carries a tidemark; hand it back with the next read:

  TOKEN=$(cargo run -q --release -p infra -- token --role admin)
  curl -si {commands}/v1/products -H \"Authorization: Bearer $TOKEN\" \\
    -H 'Content-Type: application/json' \\
    -d '{{\"sku\": \"MY-1\", \"name\": \"My lamp\", \"price\": {{\"amount\": 1999, \"currency\": \"EUR\"}}}}'
  curl -si '{queries}/v1/products?q=my+lamp&limit=1' -H 'Tidemark: …'

All routes, to read and to try: {commands}/docs and {queries}/docs
The end: cargo run --release -p infra -- down"
    ))
}
