//! What the administrator of a secured Elasticsearch does: API keys, users and roles.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use testbed::stack::{Endpoints, Security};

use super::security;

#[derive(Debug)]
pub struct Administrator {
    http: reqwest::Client,
    url: String,
    password: String,
}

impl Administrator {
    pub fn of(endpoints: &Endpoints) -> Result<Self> {
        let security = security(endpoints)?;
        let authority = reqwest::Certificate::from_pem(&std::fs::read(&security.ca_file)?)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .add_root_certificate(authority)
            .build()?;
        Ok(Self {
            http,
            url: endpoints.elasticsearch.clone(),
            password: security.password.clone(),
        })
    }

    /// A key with all privileges of the administrator, in its encoded form.
    pub async fn api_key(&self, name: &str) -> Result<String> {
        let body = json!({ "name": name });
        let answer = self.send(Method::POST, "api_key", &body).await?;
        let key = answer["encoded"].as_str().map(str::to_owned);
        key.with_context(|| format!("no API key: {answer}"))
    }

    /// A user of one role, which may not exist yet.
    pub async fn put_user(&self, name: &str, password: &str, role: &str) -> Result<()> {
        let body = json!({"password": password, "roles": [role]});
        let path = format!("user/{name}");
        self.send(Method::PUT, &path, &body).await.map(drop)
    }

    /// Makes or changes a role: which privileges it has on which indexes.
    pub async fn put_role(&self, name: &str, indices: &[(&str, &[&str])]) -> Result<()> {
        let indices = indices
            .iter()
            .map(|(names, privileges)| json!({"names": [names], "privileges": privileges}));
        let indices: Vec<Value> = indices.collect();
        let body = json!({"cluster": ["monitor"], "indices": indices});
        let path = format!("role/{name}");
        self.send(Method::PUT, &path, &body).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let answer = self
            .http
            .request(method, format!("{}/_security/{path}", self.url))
            .basic_auth(Security::USER, Some(&self.password))
            .json(body)
            .send()
            .await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status.is_success(), "{path}: {status} {answer}");
        Ok(answer)
    }
}
