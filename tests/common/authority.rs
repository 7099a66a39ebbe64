//! An authority that signs certificates for this machine, and what clients need to trust it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// An authority of its own, which nobody but the clients of [`Authority::client_config`] trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    pem: String,
}

/// Where a certificate and its key are.
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Not the name that certificates have by default: one that is signed by its own name seems to be self-signed.
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let (root, pem) = (root.der().clone(), root.pem());
        Authority { issuer: Issuer::new(params, key), root, pem }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A certificate for this machine and its key, in PEM.
    pub fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The same as files of a folder, which replace those that are there.
    pub fn issue_into(&self, folder: &Path) -> Files {
        let (cert, key) = self.issue();
        let files = Files { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        std::fs::write(&files.cert, cert).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    /// A client that trusts this authority alone.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::new(self.client(&[&TLS13, &TLS12]))
    }

    /// The same, to be changed, for some versions of TLS.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        client.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth()
    }
}

/// The server's own certificate of a file.
pub fn certificate_in(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}
