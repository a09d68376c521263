//! Where the servers of a stack are.

use serde::{Deserialize, Serialize};

use crate::ports::Ports;

/// Addresses as the services' settings want them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `postgres://postgres@127.0.0.1:port/postgres`
    pub postgres: String,
    /// `127.0.0.1:port`
    pub kafka: String,
    /// `http://127.0.0.1:port`
    pub elasticsearch: String,
}

impl Endpoints {
    /// The address of another database of the same server, as its owner.
    pub fn database_url(&self, database: &str) -> String {
        let server = self
            .postgres
            .rsplit_once('/')
            .map_or("", |(server, _)| server);
        format!("{server}/{database}")
    }
}

impl From<Ports> for Endpoints {
    fn from(ports: Ports) -> Self {
        Self {
            postgres: format!("postgres://postgres@127.0.0.1:{}/postgres", ports.postgres),
            kafka: format!("127.0.0.1:{}", ports.kafka),
            elasticsearch: format!("http://127.0.0.1:{}", ports.elasticsearch),
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
}
