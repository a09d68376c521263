//! Where the servers of a stack are, and what they want to see.

use serde::{Deserialize, Serialize};

use crate::{ports::Ports, security::Security};

/// Addresses as the services' settings want them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `postgres://postgres@127.0.0.1:port/postgres`
    pub postgres: String,
    /// `127.0.0.1:port`
    pub kafka: String,
    /// `http://127.0.0.1:port`
    pub elasticsearch: String,
    /// Of servers that let nobody in without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
}

impl Endpoints {
    pub(crate) fn new(ports: Ports, security: Option<Security>) -> Self {
        let Some(security) = security else {
            return ports.into();
        };
        let (password, parameters) = (&security.password, security.url_parameters());
        Self {
            postgres: format!(
                "postgres://postgres:{password}@127.0.0.1:{}/postgres?{parameters}",
                ports.postgres
            ),
            elasticsearch: format!("https://127.0.0.1:{}", ports.elasticsearch),
            security: Some(security),
            ..Self::from(ports)
        }
    }

    /// The same database as the role that may only read.
    pub fn reader_url(&self, database: &str) -> String {
        let owner = self.database_url(database);
        owner.replacen("//postgres", "//tidemark_reader", 1)
    }

    /// The address of another database of the same server, as its owner.
    pub fn database_url(&self, database: &str) -> String {
        let (url, parameters) = match self.postgres.split_once('?') {
            Some((url, parameters)) => (url, format!("?{parameters}")),
            None => (self.postgres.as_str(), String::new()),
        };
        let server = url.rsplit_once('/').map_or("", |(server, _)| server);
        format!("{server}/{database}{parameters}")
    }
}

impl From<Ports> for Endpoints {
    fn from(ports: Ports) -> Self {
        Self {
            postgres: format!("postgres://postgres@127.0.0.1:{}/postgres", ports.postgres),
            kafka: format!("127.0.0.1:{}", ports.kafka),
            elasticsearch: format!("http://127.0.0.1:{}", ports.elasticsearch),
            security: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoints;
    use crate::ports::Ports;

    #[test]
    fn another_database_has_the_same_server() {
        let endpoints = Endpoints::from(Ports::FIXED);
        assert_eq!(
            endpoints.database_url("shop"),
            "postgres://postgres@127.0.0.1:55432/shop"
        );
    }

    #[test]
    fn another_database_is_reached_in_the_same_way() {
        let endpoints = Endpoints {
            postgres: "postgres://me@db/postgres?sslmode=verify-full&sslrootcert=/ca.pem"
                .to_owned(),
            ..Endpoints::from(Ports::FIXED)
        };
        assert_eq!(
            endpoints.database_url("shop"),
            "postgres://me@db/shop?sslmode=verify-full&sslrootcert=/ca.pem"
        );
    }
}
