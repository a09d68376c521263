//! Options of the way to Elasticsearch.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

#[derive(Debug, Clone, Args)]
pub struct ElasticsearchArgs {
    /// Where Elasticsearch is; several nodes comma-separated. With https the node's certificate
    /// and its name are always verified.
    #[arg(
        id = "elasticsearch-url",
        long = "elasticsearch-url",
        env = "ELASTICSEARCH_URL",
        default_value = "http://127.0.0.1:9200"
    )]
    pub url: String,
    #[command(flatten)]
    pub access: ElasticsearchAccessArgs,
}

#[derive(Debug, Clone, Default, Args)]
pub struct ElasticsearchAccessArgs {
    /// Certificates of authorities that nodes are verified by, as PEM; the system's where it is
    /// not set.
    #[arg(
        id = "elasticsearch-ca-file",
        long = "elasticsearch-ca-file",
        env = "ELASTICSEARCH_CA_FILE"
    )]
    pub ca_file: Option<PathBuf>,
    /// An API key, in its encoded form.
    #[arg(
        id = "elasticsearch-api-key",
        long = "elasticsearch-api-key",
        env = "ELASTICSEARCH_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Option<SecretString>,
    /// Elasticsearch's name for us, where there is no API key.
    #[arg(
        id = "elasticsearch-username",
        long = "elasticsearch-username",
        env = "ELASTICSEARCH_USERNAME"
    )]
    pub username: Option<String>,
    #[arg(
        id = "elasticsearch-password",
        long = "elasticsearch-password",
        env = "ELASTICSEARCH_PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<SecretString>,
}

impl ElasticsearchAccessArgs {
    /// An empty variable is one that is not set.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref().filter(|name| !name.is_empty())
    }

    /// The same.
    pub fn password(&self) -> Option<&SecretString> {
        given(self.password.as_ref())
    }

    /// The same.
    pub fn api_key(&self) -> Option<&SecretString> {
        given(self.api_key.as_ref())
    }
}

fn given(secret: Option<&SecretString>) -> Option<&SecretString> {
    secret.filter(|secret| !secret.expose_secret().is_empty())
}
