//! Options of the way to Kafka, spelled as Kafka's own clients spell them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

#[derive(Debug, Clone, Args)]
pub struct KafkaArgs {
    /// Kafka's bootstrap servers, comma-separated.
    #[arg(
        id = "kafka-bootstrap",
        long = "kafka-bootstrap",
        env = "KAFKA_BOOTSTRAP",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap: String,
    /// Partitions of the events topic when it is created, 1 to 64.
    #[arg(
        id = "kafka-partitions", long = "kafka-partitions",
        env = "KAFKA_PARTITIONS",
        default_value_t = 8,
        value_parser = clap::value_parser!(i32).range(1..=64)
    )]
    pub partitions: i32,
    #[command(flatten)]
    pub security: KafkaSecurityArgs,
}

#[derive(Debug, Clone, Args)]
pub struct KafkaSecurityArgs {
    /// How the way to Kafka is protected. With SSL the broker's certificate and its name are
    /// always verified.
    #[arg(
        id = "kafka-security-protocol",
        long = "kafka-security-protocol",
        env = "KAFKA_SECURITY_PROTOCOL",
        value_enum,
        ignore_case = true,
        default_value = "PLAINTEXT"
    )]
    pub protocol: SecurityProtocol,
    /// How to say to Kafka who we are.
    #[arg(
        id = "kafka-sasl-mechanism",
        long = "kafka-sasl-mechanism",
        env = "KAFKA_SASL_MECHANISM",
        value_enum,
        ignore_case = true
    )]
    pub mechanism: Option<SaslMechanism>,
    /// Kafka's name for us.
    #[arg(
        id = "kafka-sasl-username",
        long = "kafka-sasl-username",
        env = "KAFKA_SASL_USERNAME"
    )]
    pub sasl_username: Option<String>,
    #[arg(
        id = "kafka-sasl-password",
        long = "kafka-sasl-password",
        env = "KAFKA_SASL_PASSWORD",
        hide_env_values = true
    )]
    pub sasl_password: Option<SecretString>,
    /// Certificates of authorities that brokers are verified by, as PEM; the system's where it is
    /// not set.
    #[arg(
        id = "kafka-ssl-ca-file",
        long = "kafka-ssl-ca-file",
        env = "KAFKA_SSL_CA_FILE"
    )]
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, where brokers demand one, as PEM.
    #[arg(
        id = "kafka-ssl-certificate-file",
        long = "kafka-ssl-certificate-file",
        env = "KAFKA_SSL_CERTIFICATE_FILE"
    )]
    pub certificate_file: Option<PathBuf>,
    /// The key of that certificate, as PEM.
    #[arg(
        id = "kafka-ssl-key-file",
        long = "kafka-ssl-key-file",
        env = "KAFKA_SSL_KEY_FILE"
    )]
    pub key_file: Option<PathBuf>,
}

impl KafkaSecurityArgs {
    /// An empty variable is one that is not set.
    pub fn username(&self) -> Option<&str> {
        self.sasl_username
            .as_deref()
            .filter(|name| !name.is_empty())
    }

    /// The same.
    pub fn password(&self) -> Option<&SecretString> {
        let password = self.sasl_password.as_ref();
        password.filter(|password| !password.expose_secret().is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecurityProtocol {
    #[value(name = "PLAINTEXT")]
    Plaintext,
    #[value(name = "SSL")]
    Ssl,
    #[value(name = "SASL_PLAINTEXT")]
    SaslPlaintext,
    #[value(name = "SASL_SSL")]
    SaslSsl,
}

impl SecurityProtocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SaslMechanism {
    #[value(name = "PLAIN")]
    Plain,
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
