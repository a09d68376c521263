//! `sslmode` and its companions in a database URL, with the meaning that libpq gives them.
//!
//! Two modes are taken: `disable`, which is the default, and `verify-full`. Those between encrypt
//! without knowing to whom, so they are refused, and none ever falls back to plain text.

use std::path::PathBuf;

use deadpool_postgres::tokio_postgres::config::SslMode;
use deadpool_postgres::tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::SetupError;
use crate::tls::{self, IdentityFiles, TlsError};

/// `sslrootcert` of the system's authorities, as libpq spells it.
const SYSTEM: &str = "system";

#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    #[error("sslmode '{0}' does not verify the server: use verify-full, or disable")]
    Mode(String),
    #[error("{0} says nothing without sslmode=verify-full")]
    WithoutTls(&'static str),
    #[error("sslcert and sslkey are given together or not at all")]
    HalfIdentity,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How a connection is protected.
#[derive(Clone)]
pub(super) enum Encryption {
    None(NoTls),
    Verified(Box<MakeRustlsConnect>),
}

/// The parameters of a URL that are about TLS; tokio-postgres does not know them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    mode: Option<String>,
    root: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Reads a URL whole.
pub(super) fn parse(url: &str) -> Result<(Config, Encryption), SetupError> {
    let (rest, parameters) = split(url);
    let mut config: Config = rest.parse().map_err(SetupError::Url)?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(EncryptionError::Mode("require".to_owned()).into());
    }
    let encryption = parameters.open()?;
    config.ssl_mode(match encryption {
        Encryption::None(_) => SslMode::Disable,
        Encryption::Verified(_) => SslMode::Require,
    });
    Ok((config, encryption))
}

impl Parameters {
    fn open(self) -> Result<Encryption, EncryptionError> {
        match self.mode.as_deref() {
            None | Some("disable") => {
                self.refuse_leftovers()?;
                Ok(Encryption::None(NoTls))
            }
            Some("verify-full") => {
                let identity = match (self.certificate, self.key) {
                    (Some(certificate), Some(key)) => Some(IdentityFiles { certificate, key }),
                    (None, None) => None,
                    _ => return Err(EncryptionError::HalfIdentity),
                };
                let root = self.root.filter(|root| root != SYSTEM).map(PathBuf::from);
                let config = tls::client_config(root.as_deref(), identity.as_ref())?;
                Ok(Encryption::Verified(Box::new(MakeRustlsConnect::new(
                    config,
                ))))
            }
            Some(other) => Err(EncryptionError::Mode(other.to_owned())),
        }
    }

    /// A root certificate that is not used is a mistake, and a dangerous one.
    fn refuse_leftovers(&self) -> Result<(), EncryptionError> {
        let given = [
            ("sslrootcert", self.root.is_some()),
            ("sslcert", self.certificate.is_some()),
            ("sslkey", self.key.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(EncryptionError::WithoutTls(name)),
            None => Ok(()),
        }
    }
}

/// The URL without the parameters that are about TLS, and these.
fn split(url: &str) -> (String, Parameters) {
    let mut parameters = Parameters::default();
    // A question mark of the password comes before the host.
    let host = url.find('@').unwrap_or(0);
    let Some(query) = url[host..].find('?').map(|at| host + at) else {
        return (url.to_owned(), parameters);
    };
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if !is_url {
        return (url.to_owned(), parameters);
    }
    let kept: Vec<&str> = url[query + 1..]
        .split('&')
        .filter(|pair| !parameters.take(pair))
        .collect();
    let mut rest = url[..query].to_owned();
    if !kept.is_empty() {
        rest.push('?');
        rest.push_str(&kept.join("&"));
    }
    (rest, parameters)
}

impl Parameters {
    /// True where the pair is one of ours.
    fn take(&mut self, pair: &str) -> bool {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        match name {
            "sslmode" => self.mode = Some(value),
            "sslrootcert" => self.root = Some(value),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            _ => return false,
        }
        true
    }
}

/// As libpq does it: a plus is a plus.
fn decode(value: &str) -> String {
    let pair = format!("={}", value.replace('+', "%2B"));
    let mut decoded = form_urlencoded::parse(pair.as_bytes());
    decoded
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn refusal(parameters: &str) -> String {
        let url = format!("postgres://a:b@localhost/c?{parameters}");
        let Err(error) = parse(&url).map(|(config, _)| config) else {
            panic!("{url} was taken");
        };
        crate::telemetry::Chain(&error).to_string()
    }

    #[rstest]
    #[case::nothing_said("postgres://a:b@localhost/c")]
    #[case::said("postgres://a:b@localhost/c?sslmode=disable&connect_timeout=3")]
    #[case::keywords("host=localhost user=a dbname=c")]
    fn without_verification_nothing_is_encrypted(#[case] url: &str) {
        let (config, encryption) = parse(url).unwrap();
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert!(matches!(encryption, Encryption::None(_)));
    }

    #[rstest]
    #[case("sslmode=prefer", "sslmode 'prefer' does not verify the server")]
    #[case("sslmode=require", "sslmode 'require' does not verify the server")]
    #[case("sslmode=verify-ca", "sslmode 'verify-ca' does not verify the server")]
    #[case("sslmode=", "sslmode '' does not verify the server")]
    #[case("sslrootcert=/ca.pem", "sslrootcert says nothing")]
    #[case("sslmode=disable&sslkey=/key.pem", "sslkey says nothing")]
    #[case("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem")]
    #[case("sslmode=verify-full&sslcert=/cert.pem", "given together")]
    #[case("sslmood=verify-full", "sslmood")]
    fn what_would_not_be_secure_is_refused_with_the_reason(
        #[case] parameters: &str,
        #[case] reason: &str,
    ) {
        let refusal = refusal(parameters);
        assert!(refusal.contains(reason), "{refusal}");
    }

    #[test]
    fn keywords_cannot_ask_for_tls_without_verification_either() {
        assert!(parse("host=localhost user=a sslmode=require").is_err());
    }

    #[test]
    fn the_parameters_of_tls_leave_the_others_as_they_are() {
        let url = "postgres://a:p?w@h/c?options=-c%20x%3D7&sslmode=verify-full&sslrootcert=%2Fa+b\
                   &connect_timeout=3";
        let (rest, parameters) = split(url);
        assert_eq!(
            rest,
            "postgres://a:p?w@h/c?options=-c%20x%3D7&connect_timeout=3"
        );
        assert_eq!(parameters.mode.as_deref(), Some("verify-full"));
        assert_eq!(parameters.root.as_deref(), Some("/a+b"));
    }
}
