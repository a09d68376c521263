//! What a stack is made of whose servers let nobody in without encryption, a password and, where
//! they can ask for one, a client certificate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// PEM files and a password. One authority has signed both certificates; that of the servers is
/// for `localhost` and `127.0.0.1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    pub ca_file: PathBuf,
    pub server_certificate_file: PathBuf,
    pub server_key_file: PathBuf,
    pub client_certificate_file: PathBuf,
    pub client_key_file: PathBuf,
    /// Of `USER` in Kafka and Elasticsearch, and of every role in PostgreSQL. Letters and digits.
    pub password: String,
}

impl Security {
    /// Whom Kafka and Elasticsearch know.
    pub const USER: &str = "tidemark";

    /// Parameters of a database URL.
    pub(crate) fn url_parameters(&self) -> String {
        format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            self.ca_file.display(),
            self.client_certificate_file.display(),
            self.client_key_file.display()
        )
    }

    /// Settings of a client of Kafka.
    pub(crate) fn kafka(&self) -> Vec<(&'static str, String)> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        vec![
            ("security.protocol", "SASL_SSL".to_owned()),
            ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
            ("sasl.username", Self::USER.to_owned()),
            ("sasl.password", self.password.clone()),
            ("ssl.ca.location", path(&self.ca_file)),
            (
                "ssl.certificate.location",
                path(&self.client_certificate_file),
            ),
            ("ssl.key.location", path(&self.client_key_file)),
        ]
    }
}
