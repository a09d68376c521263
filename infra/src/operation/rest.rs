//! Questions to the services over REST, and what is wrong in words where they refuse.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Response};
use schemas::problem::Problem;
use serde::de::DeserializeOwned;

/// Header that carries what a client has written and seen.
pub const TIDEMARK: &str = "tidemark";

const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A client for short questions.
pub fn client() -> Result<Client> {
    let builder = Client::builder().no_proxy().timeout(ANSWERS_WITHIN);
    Ok(builder.connect_timeout(CONNECTS_WITHIN).build()?)
}

/// A client for answers that stream for long; each piece must come in time.
pub fn streaming_client(silence: Duration) -> Result<Client> {
    let builder = Client::builder().no_proxy().read_timeout(silence);
    Ok(builder.connect_timeout(CONNECTS_WITHIN).build()?)
}

/// Asks, and reads the answer.
pub async fn get<T: DeserializeOwned>(client: &Client, url: &str) -> Result<T> {
    let answer = client.get(url).send().await;
    let answer = success(answer.with_context(|| format!("asking {url}"))?).await?;
    let read = answer.json().await;
    read.with_context(|| format!("reading the answer of {url}"))
}

/// The answer if it is a success, else what the problem says.
pub async fn success(answer: Response) -> Result<Response> {
    let (status, url) = (answer.status(), answer.url().clone());
    if status.is_success() {
        return Ok(answer);
    }
    let text = answer.text().await.unwrap_or_default();
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => bail!("{url} answers {status}: {}", problem.detail),
        Err(_) => bail!("{url} answers {status}"),
    }
}
