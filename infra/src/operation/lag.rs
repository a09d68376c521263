//! How far behind the views are, as the projectors tell it together.

use anyhow::Result;
use futures::future::join_all;
use schemas::operations::LagReport;

use super::{deployment::Deployment, rest};
use crate::service::Service;

/// Asks all projectors. One that does not answer is left out; an error where none does.
pub async fn lag(deployment: &Deployment) -> Result<LagReport> {
    deployment.url(Service::Projector)?;
    let client = rest::client()?;
    let asked = deployment
        .replicas(Service::Projector)
        .map(async |running| {
            rest::get::<LagReport>(&client, &format!("{}/v1/lag", running.url)).await
        });
    let (mut reports, mut failed) = (Vec::new(), None);
    for answer in join_all(asked).await {
        match answer {
            Ok(report) => reports.push(report),
            Err(error) => failed = Some(error),
        }
    }
    let merged = reports.into_iter().reduce(LagReport::merge);
    merged.ok_or_else(|| failed.unwrap_or_else(|| anyhow::anyhow!("no projector is running")))
}
