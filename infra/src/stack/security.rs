//! What a stack is made of whose servers let nobody in without encryption, a password and, where
//! they can ask for one, a client certificate.

use std::path::PathBuf;

use chassis::config::{
    ElasticsearchAccessArgs, KafkaSecurityArgs, SaslMechanism, SecurityProtocol,
};
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
    pub(super) fn url_parameters(&self) -> String {
        format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            self.ca_file.display(),
            self.client_certificate_file.display(),
            self.client_key_file.display()
        )
    }

    pub(super) fn kafka(&self) -> KafkaSecurityArgs {
        KafkaSecurityArgs {
            protocol: SecurityProtocol::SaslSsl,
            mechanism: Some(SaslMechanism::ScramSha512),
            sasl_username: Some(Self::USER.to_owned()),
            sasl_password: Some(self.password.as_str().into()),
            ca_file: Some(self.ca_file.clone()),
            certificate_file: Some(self.client_certificate_file.clone()),
            key_file: Some(self.client_key_file.clone()),
        }
    }

    pub(super) fn elasticsearch(&self) -> ElasticsearchAccessArgs {
        ElasticsearchAccessArgs {
            ca_file: Some(self.ca_file.clone()),
            api_key: None,
            username: Some(Self::USER.to_owned()),
            password: Some(self.password.as_str().into()),
        }
    }

    /// The same for processes, beside the addresses.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        vec![
            ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL".to_owned()),
            ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
            ("KAFKA_SASL_USERNAME", Self::USER.to_owned()),
            ("KAFKA_SASL_PASSWORD", self.password.clone()),
            ("KAFKA_SSL_CA_FILE", path(&self.ca_file)),
            (
                "KAFKA_SSL_CERTIFICATE_FILE",
                path(&self.client_certificate_file),
            ),
            ("KAFKA_SSL_KEY_FILE", path(&self.client_key_file)),
            ("ELASTICSEARCH_CA_FILE", path(&self.ca_file)),
            ("ELASTICSEARCH_USERNAME", Self::USER.to_owned()),
            ("ELASTICSEARCH_PASSWORD", self.password.clone()),
        ]
    }
}
