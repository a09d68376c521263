//! TLS to the servers behind a service: which authorities are trusted, and who we are.
//!
//! A server's certificate is always verified, name included. There is no setting to skip that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read {} as PEM", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("the system has no certificate of an authority: name a file of them")]
    NoSystemRoots,
    #[error("use a certificate of an authority")]
    Root(#[source] rustls::Error),
    #[error("use the client certificate and its key")]
    Identity(#[source] rustls::Error),
}

/// A certificate of our own, with the key that proves it is ours. Both files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Verifies servers by these authorities, by those of the system where no file is named.
pub fn client_config(
    ca_file: Option<&Path>,
    identity: Option<&IdentityFiles>,
) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(ca_file)? {
        roots.add(certificate).map_err(TlsError::Root)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has a suite for each of the default versions")
        .with_root_certificates(roots);
    let Some(files) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|source| unreadable(&files.key, source))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(TlsError::Identity)
}

/// The certificates of a PEM file, at least one; without a file those that the system trusts.
pub fn authorities(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if let Some(path) = ca_file {
        return certificates(path);
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be read");
    }
    if found.certs.is_empty() {
        return Err(TlsError::NoSystemRoots);
    }
    Ok(found.certs)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| unreadable(path, source))?;
    if found.is_empty() {
        return Err(TlsError::Empty(path.to_owned()));
    }
    Ok(found)
}

fn unreadable(path: &Path, source: pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
