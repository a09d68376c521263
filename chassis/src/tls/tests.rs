//! Handshakes in memory, with certificates made here: who is let in, and what is said of the others.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use super::*;

/// An authority, with a folder for what it issues.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tidemark-tls-{}", crate::clock::new_id()));
        fs::create_dir(&folder).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = crate::clock::new_id().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn issue(&self, name: &str) -> IdentityFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = IdentityFiles {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A server named `localhost`, which demands certificates of this authority from its clients.
    fn server(&self) -> ServerConnection {
        let files = self.issue("localhost");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                certificates(&files.certificate).unwrap(),
                PrivateKeyDer::from_pem_file(&files.key).unwrap(),
            )
            .unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Shakes hands until one side has had enough.
fn connect(
    config: ClientConfig,
    name: &'static str,
    mut server: ServerConnection,
) -> Result<(), rustls::Error> {
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_server_of_our_authority_and_a_client_with_its_certificate_meet() {
    let authority = Authority::new();
    let us = authority.issue("us");
    let config = client_config(Some(&authority.file()), Some(&us)).unwrap();
    connect(config, "localhost", authority.server()).unwrap();
}

#[test]
fn a_server_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let config = client_config(Some(&ours.file()), None).unwrap();
    let refused = connect(config, "localhost", theirs.server()).unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
}

#[test]
fn a_private_authority_is_not_one_of_the_system() {
    let theirs = Authority::new();
    let refused = match client_config(None, None) {
        Ok(config) => connect(config, "localhost", theirs.server())
            .unwrap_err()
            .to_string(),
        Err(error) => error.to_string(),
    };
    let expected = ["UnknownIssuer", "the system has no certificate"];
    assert!(
        expected.iter().any(|reason| refused.contains(reason)),
        "{refused}"
    );
}

#[test]
fn a_server_of_another_name_is_refused() {
    let authority = Authority::new();
    let config = client_config(Some(&authority.file()), None).unwrap();
    let refused = connect(config, "example.org", authority.server()).unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("not valid for name"), "{told}");
}

#[test]
fn a_client_without_a_certificate_is_refused_by_a_server_that_demands_one() {
    let authority = Authority::new();
    let config = client_config(Some(&authority.file()), None).unwrap();
    assert!(connect(config, "localhost", authority.server()).is_err());
}

#[test]
fn a_missing_or_empty_file_of_authorities_is_named() {
    let missing = client_config(Some(Path::new("/nowhere/ca.pem")), None).unwrap_err();
    assert_eq!(missing.to_string(), "read /nowhere/ca.pem as PEM");
    let empty = client_config(Some(Path::new("/dev/null")), None).unwrap_err();
    assert_eq!(empty.to_string(), "/dev/null holds no certificate");
}

#[test]
fn a_key_that_is_not_of_the_certificate_is_refused() {
    let authority = Authority::new();
    let (us, them) = (authority.issue("us"), authority.issue("them"));
    let mixed = IdentityFiles {
        key: them.key,
        ..us
    };
    let refused = client_config(Some(&authority.file()), Some(&mixed)).unwrap_err();
    assert!(matches!(refused, TlsError::Identity(_)), "{refused}");
}
