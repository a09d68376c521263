//! The guided part of the demo: what is written through one process is found through others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chassis::clock;
use serde_json::json;
use uuid::Uuid;

use crate::{
    client::{Answer, Client},
    operation::deployment::Deployment,
    output,
    service::Service,
};

const ROUNDS: i64 = 20;
const WARM_UPS: usize = 20;
const SYLLABLES: [&str; 16] = [
    "ba", "do", "fe", "ga", "ki", "lu", "mo", "na", "pe", "ri", "so", "ta", "vu", "we", "zo", "ly",
];

/// One client that writes, and looks for what it wrote.
#[derive(Debug)]
pub(super) struct Tour {
    client: Client,
    /// Somebody who has written nothing.
    anybody: Client,
    command_svc: String,
    query_svcs: Vec<String>,
    /// A word that stands in no other product.
    word: String,
    product: String,
}

impl Tour {
    pub(super) fn new(deployment: &Deployment, bearer: &str) -> Result<Self> {
        let command_svc = deployment.url(Service::CommandSvc)?.to_owned();
        let queries = deployment.replicas(Service::QuerySvc);
        let query_svcs: Vec<String> = queries.map(|running| running.url.clone()).collect();
        let client = || {
            let commands = std::slice::from_ref(&command_svc);
            Ok::<_, anyhow::Error>(
                Client::new(commands, &query_svcs, Some(bearer))?.preferring("wait=5"),
            )
        };
        Ok(Self {
            client: client()?,
            anybody: client()?,
            command_svc: command_svc.clone(),
            query_svcs: query_svcs.clone(),
            word: word(clock::new_id()),
            product: String::new(),
        })
    }

    /// A few searches by somebody else, so that what was only just started is awake.
    pub(super) async fn warm_up(&self) -> Result<()> {
        for _ in 0..WARM_UPS {
            let search = "/v1/products?q=copper+kettle&limit=1";
            self.anybody.get(search).await?.expect(200)?;
        }
        Ok(())
    }

    /// A new product, found by every replica.
    pub(super) async fn write_and_find(&mut self) -> Result<()> {
        let body = json!({
            "sku": format!("DEMO-{}", self.word.to_uppercase()),
            "name": format!("{} Kettle", self.word),
            "description": "Whistles when the tide comes in.",
            "brand": "Tidemark",
            "price": {"amount": 4900, "currency": "EUR"},
            "inventory": 12,
        });
        let answer = self.client.post("/v1/products", &body).await?.expect(201)?;
        self.product = answer.id()?.to_string();
        output::line(format!(
            "\nWrite, then search: a new product, the \"{} Kettle\".\n",
            self.word
        ));
        let url = format!("{}/v1/products", self.command_svc);
        show("POST", &url, &answer, "created");
        let tidemark = answer.header("tidemark");
        let tidemark = tidemark.context("every answer has a tidemark")?;
        output::line(format!("        Tidemark: {tidemark}"));
        output::line(
            "        The searches hand it back, so none may answer from before the write:",
        );
        for replica in 0..self.query_svcs.len() {
            let (url, answer) = self.search(replica).await?;
            show("GET", &url, &answer, "found");
        }
        Ok(())
    }

    /// The same many times over, from one replica to the next.
    pub(super) async fn change_and_find(&mut self) -> Result<()> {
        let path = format!("/v1/products/{}/price", self.product);
        let mut times = Vec::new();
        for round in 1..=ROUNDS {
            let price = json!({"amount": 4900 + round, "currency": "EUR"});
            let written = self.client.put(&path, &price).await?.expect(200)?;
            let replica = usize::try_from(round)? % self.query_svcs.len();
            let (_, found) = self.search(replica).await?;
            let shown = &found.body["items"][0]["price"]["amount"];
            ensure!(
                *shown == price["amount"],
                "a search has shown an older price"
            );
            times.push(written.took + found.took);
        }
        times.sort();
        output::line(format!(
            "\n{ROUNDS} price changes, each found by the very next search, on either replica in turn: \
             written and found in {} (median), {} at most.",
            milliseconds(times[times.len() / 2]),
            milliseconds(times[times.len() - 1]),
        ));
        Ok(())
    }

    async fn search(&self, replica: usize) -> Result<(String, Answer)> {
        let query_svc = &self.query_svcs[replica];
        let url = format!(
            "{query_svc}/v1/products?q={}+kettle&limit=1",
            self.word.to_lowercase()
        );
        let answer = self.client.get_from(&url).await?.expect(200)?;
        ensure!(
            answer.body["items"][0]["id"] == self.product.as_str(),
            "{url} does not find the product"
        );
        Ok((url, answer))
    }
}

fn show(method: &str, url: &str, answer: &Answer, outcome: &str) {
    let served = answer
        .served()
        .map(|served| format!("   Tidemark-Served: {served}"));
    output::line(format!(
        "  {method:<4}  {url}\n        {} {outcome} in {}{}",
        answer.status.as_u16(),
        milliseconds(answer.took),
        served.unwrap_or_default()
    ));
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1_000.0)
}

/// A name that nobody has used yet.
fn word(id: Uuid) -> String {
    let bytes = id.into_bytes();
    let syllables = bytes[12..]
        .iter()
        .map(|byte| SYLLABLES[usize::from(byte % 16)]);
    let word: String = syllables.collect();
    word[..1].to_uppercase() + &word[1..]
}
