//! Certificates made for one test: an authority, what it has signed, and the files of both.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use testbed::stack::Security;
use uuid::Uuid;

/// Whom the certificates of servers are for; `localhost`, though it is the same, is not it.
pub const SERVERS: &str = "127.0.0.1";

/// An authority with a folder of its own, which goes with it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub fn new() -> Result<Self> {
        let name = Uuid::now_v7().to_string();
        let folder = std::env::temp_dir().join("tidemark-e2e").join(&name);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(folder.join("ca.pem"), issuer.pem())?;
        Ok(Self { issuer, folder })
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Everything that servers and their clients need.
    pub fn security(&self) -> Result<Security> {
        let (server_certificate_file, server_key_file) = self.issue("server", SERVERS)?;
        let (client_certificate_file, client_key_file) = self.issue("client", "tidemark.test")?;
        Ok(Security {
            ca_file: self.file(),
            server_certificate_file,
            server_key_file,
            client_certificate_file,
            client_key_file,
            password: Uuid::now_v7().simple().to_string(),
        })
    }

    /// A certificate and its key, for an address or a name.
    fn issue(&self, file: &str, subject: &str) -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([subject.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, file);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let write = |kind: &str, text: String| {
            let path = self.folder.join(format!("{file}.{kind}"));
            fs::write(&path, text).map(|()| path)
        };
        Ok((
            write("pem", certificate.pem())?,
            write("key", key.serialize_pem())?,
        ))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}
