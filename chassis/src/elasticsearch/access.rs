//! The way to Elasticsearch: nodes, whom to trust, and as whom we come.
//!
//! Read once, when the process starts: a setting that contradicts another ends it with the reason,
//! instead of a client that falls back to something weaker.

use std::time::Duration;

use ::elasticsearch::auth::Credentials;
use ::elasticsearch::cert::{Certificate, CertificateValidation};
use ::elasticsearch::http::Url;
use ::elasticsearch::http::transport::{
    BuildError, MultiNodeConnectionPool, Transport, TransportBuilder,
};
use secrecy::ExposeSecret;

use crate::config::{ElasticsearchAccessArgs, ElasticsearchArgs};
use crate::tls::{self, TlsError};

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("read ELASTICSEARCH_URL: {0}")]
    Url(String),
    #[error("ELASTICSEARCH_URL holds a password: write it to ELASTICSEARCH_USERNAME and _PASSWORD")]
    PasswordInUrl,
    #[error("ELASTICSEARCH_URL names nodes with https and nodes without")]
    Mixed,
    #[error("ELASTICSEARCH_CA_FILE is set, but ELASTICSEARCH_URL is not https")]
    UnusedAuthority,
    #[error("ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD are given together or not at all")]
    HalfCredentials,
    #[error("ELASTICSEARCH_API_KEY and ELASTICSEARCH_USERNAME are both set: one is enough")]
    TwoCredentials,
    #[error("read the certificates for elasticsearch")]
    Tls(#[from] TlsError),
    #[error("use a certificate for elasticsearch")]
    Certificate(#[source] ::elasticsearch::Error),
    #[error("build the elasticsearch client")]
    Build(#[source] BuildError),
}

pub(super) fn transport(
    args: &ElasticsearchArgs,
    timeout: Duration,
) -> Result<Transport, SetupError> {
    let urls = nodes(&args.url)?;
    let has_tls = urls.iter().all(|url| url.scheme() == "https");
    if !has_tls && urls.iter().any(|url| url.scheme() == "https") {
        return Err(SetupError::Mixed);
    }
    if !has_tls && args.access.ca_file.is_some() {
        return Err(SetupError::UnusedAuthority);
    }
    let mut builder = TransportBuilder::new(MultiNodeConnectionPool::round_robin(urls, None))
        .disable_proxy()
        .enable_meta_header(false)
        .timeout(timeout);
    if let Some(credentials) = credentials(&args.access)? {
        if !has_tls {
            tracing::warn!("credentials for elasticsearch are sent over a plain connection");
        }
        builder = builder.auth(credentials);
    }
    if has_tls {
        let authorities = authorities(&args.access)?;
        builder = builder.cert_validation(CertificateValidation::Full(authorities));
    }
    builder.build().map_err(SetupError::Build)
}

fn nodes(urls: &str) -> Result<Vec<Url>, SetupError> {
    let unreadable = |reason: &dyn std::fmt::Display| SetupError::Url(reason.to_string());
    let urls: Vec<Url> = urls
        .split(',')
        .map(|url| url.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|error: <Url as std::str::FromStr>::Err| unreadable(&error))?;
    for url in &urls {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unreadable(&"a node begins with http:// or https://"));
        }
        if url.password().is_some() || !url.username().is_empty() {
            return Err(SetupError::PasswordInUrl);
        }
    }
    Ok(urls)
}

fn credentials(args: &ElasticsearchAccessArgs) -> Result<Option<Credentials>, SetupError> {
    match (args.api_key(), args.username(), args.password()) {
        (None, None, None) => Ok(None),
        (Some(key), None, None) => {
            let key = key.expose_secret().to_owned();
            Ok(Some(Credentials::EncodedApiKey(key)))
        }
        (None, Some(name), Some(password)) => {
            let password = password.expose_secret().to_owned();
            Ok(Some(Credentials::Basic(name.to_owned(), password)))
        }
        (None, ..) => Err(SetupError::HalfCredentials),
        (Some(_), ..) => Err(SetupError::TwoCredentials),
    }
}

fn authorities(args: &ElasticsearchAccessArgs) -> Result<Certificate, SetupError> {
    let mut found = tls::authorities(args.ca_file.as_deref())?.into_iter();
    let first = found.next().ok_or(TlsError::NoSystemRoots)?;
    let of_der = |der: &[u8]| Certificate::from_der(der).map_err(SetupError::Certificate);
    found.try_fold(of_der(&first)?, |mut chain, certificate| {
        chain.append(of_der(&certificate)?);
        Ok(chain)
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;
    use crate::telemetry::Chain;

    #[derive(Debug, Parser)]
    struct Service {
        #[command(flatten)]
        elasticsearch: ElasticsearchArgs,
    }

    fn build(options: &[&str]) -> Result<Transport, SetupError> {
        let options = std::iter::once("service").chain(options.iter().copied());
        let service = Service::parse_from(options);
        transport(&service.elasticsearch, Duration::from_secs(1))
    }

    #[rstest]
    #[case::no_url(&["--elasticsearch-url=nowhere"], "read ELASTICSEARCH_URL")]
    #[case::no_http(&["--elasticsearch-url=ftp://es"], "begins with http")]
    #[case::a_password_in_the_url(
        &["--elasticsearch-url=https://me:swordfish@es"],
        "holds a password"
    )]
    #[case::mixed(&["--elasticsearch-url=https://a,http://b"], "nodes without")]
    #[case::an_authority_without_tls(
        &["--elasticsearch-url=http://es", "--elasticsearch-ca-file=/ca.pem"],
        "not https"
    )]
    #[case::a_missing_file(
        &["--elasticsearch-url=https://es", "--elasticsearch-ca-file=/nowhere/ca.pem"],
        "/nowhere/ca.pem"
    )]
    #[case::no_password(&["--elasticsearch-username=me"], "given together")]
    #[case::an_empty_password(
        &["--elasticsearch-username=me", "--elasticsearch-password="],
        "given together"
    )]
    #[case::both(
        &["--elasticsearch-api-key=k", "--elasticsearch-username=me"],
        "one is enough"
    )]
    fn settings_that_contradict_each_other_are_refused(
        #[case] options: &[&str],
        #[case] reason: &str,
    ) {
        let refused = build(options).unwrap_err();
        let told = Chain(&refused).to_string();
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("swordfish"), "{told}");
    }

    #[test]
    fn empty_variables_are_not_set() {
        let options = ["--elasticsearch-api-key=", "--elasticsearch-username="];
        assert!(build(&options).is_ok());
    }
}
