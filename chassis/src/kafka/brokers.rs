//! Where the brokers are, how the way to them is protected, and as whom we come.
//!
//! Read once, when the process starts: a setting that contradicts another ends it with the reason,
//! instead of a client that falls back to something weaker.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rdkafka::ClientConfig;
use secrecy::ExposeSecret;

use crate::config::{KafkaArgs, KafkaSecurityArgs, SaslMechanism, SecurityProtocol};
use crate::tls::{self, IdentityFiles, TlsError};

#[derive(Debug, thiserror::Error)]
pub enum BrokersError {
    #[error("{setting} is set, but KAFKA_SECURITY_PROTOCOL is {protocol}, which does not use it")]
    Unused {
        setting: &'static str,
        protocol: &'static str,
    },
    #[error("KAFKA_SECURITY_PROTOCOL is {protocol}, but {setting} is not set")]
    Missing {
        setting: &'static str,
        protocol: &'static str,
    },
    #[error("the mechanism PLAIN sends the password as it is: use it with SASL_SSL")]
    PasswordInClear,
    #[error("KAFKA_SSL_CERTIFICATE_FILE and KAFKA_SSL_KEY_FILE are given together or not at all")]
    HalfIdentity,
    #[error("read the certificates for kafka")]
    Tls(#[from] TlsError),
}

/// What a client is told before anything else. Cheap to clone.
#[derive(Clone)]
pub struct KafkaBrokers {
    bootstrap: Arc<str>,
    settings: Arc<[(&'static str, String)]>,
}

impl KafkaBrokers {
    /// Brokers on a trusted network, which ask nobody who they are.
    pub fn plain(bootstrap: impl Into<Arc<str>>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            settings: Arc::new([]),
        }
    }

    pub fn new(args: &KafkaArgs) -> Result<Self, BrokersError> {
        Ok(Self {
            bootstrap: args.bootstrap.as_str().into(),
            settings: settings(&args.security)?.into(),
        })
    }

    /// Settings of every client.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &*self.bootstrap)
            .set("client.id", "tidemark")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("allow.auto.create.topics", "false");
        for (name, value) in self.settings.iter() {
            config.set(*name, value);
        }
        config
    }
}

impl fmt::Debug for KafkaBrokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBrokers")
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}

fn settings(args: &KafkaSecurityArgs) -> Result<Vec<(&'static str, String)>, BrokersError> {
    let protocol = args.protocol;
    let mut settings = vec![("security.protocol", protocol.name().to_lowercase())];
    if protocol.has_tls() {
        settings.extend(tls_settings(args)?);
    } else {
        refuse_unused(protocol, &given_files(args))?;
    }
    if protocol.has_sasl() {
        settings.extend(sasl_settings(args)?);
    } else {
        let given = [
            ("KAFKA_SASL_MECHANISM", args.mechanism.is_some()),
            ("KAFKA_SASL_USERNAME", args.username().is_some()),
            ("KAFKA_SASL_PASSWORD", args.password().is_some()),
        ];
        refuse_unused(protocol, &given)?;
    }
    Ok(settings)
}

fn given_files(args: &KafkaSecurityArgs) -> [(&'static str, bool); 3] {
    [
        ("KAFKA_SSL_CA_FILE", args.ca_file.is_some()),
        (
            "KAFKA_SSL_CERTIFICATE_FILE",
            args.certificate_file.is_some(),
        ),
        ("KAFKA_SSL_KEY_FILE", args.key_file.is_some()),
    ]
}

/// A password or an authority that is not used is a mistake, and a dangerous one.
fn refuse_unused(
    protocol: SecurityProtocol,
    given: &[(&'static str, bool)],
) -> Result<(), BrokersError> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((setting, _)) => Err(BrokersError::Unused {
            setting,
            protocol: protocol.name(),
        }),
        None => Ok(()),
    }
}

/// The files are read here as well, so that a bad one is named before any client is made.
fn tls_settings(args: &KafkaSecurityArgs) -> Result<Vec<(&'static str, String)>, BrokersError> {
    let identity = match (&args.certificate_file, &args.key_file) {
        (Some(certificate), Some(key)) => Some(IdentityFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None) => None,
        _ => return Err(BrokersError::HalfIdentity),
    };
    tls::client_config(args.ca_file.as_deref(), identity.as_ref())?;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut settings = vec![
        ("enable.ssl.certificate.verification", "true".to_owned()),
        ("ssl.endpoint.identification.algorithm", "https".to_owned()),
    ];
    if let Some(file) = &args.ca_file {
        settings.push(("ssl.ca.location", path(file)));
    }
    if let Some(files) = identity {
        settings.push(("ssl.certificate.location", path(&files.certificate)));
        settings.push(("ssl.key.location", path(&files.key)));
    }
    Ok(settings)
}

fn sasl_settings(args: &KafkaSecurityArgs) -> Result<Vec<(&'static str, String)>, BrokersError> {
    let missing = |setting| BrokersError::Missing {
        setting,
        protocol: args.protocol.name(),
    };
    let mechanism = args
        .mechanism
        .ok_or_else(|| missing("KAFKA_SASL_MECHANISM"))?;
    let username = args
        .username()
        .ok_or_else(|| missing("KAFKA_SASL_USERNAME"))?;
    let password = args
        .password()
        .ok_or_else(|| missing("KAFKA_SASL_PASSWORD"))?;
    if mechanism == SaslMechanism::Plain && !args.protocol.has_tls() {
        return Err(BrokersError::PasswordInClear);
    }
    Ok(vec![
        ("sasl.mechanism", mechanism.name().to_owned()),
        ("sasl.username", username.to_owned()),
        ("sasl.password", password.expose_secret().to_owned()),
    ])
}

#[cfg(test)]
mod tests;
