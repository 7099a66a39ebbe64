//! TLS as a client: whom a command that talks to a server believes.

use std::path::Path;

use anyhow::{Context, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Believes the authorities in `ca`, a PEM file; without one, those of this machine.
pub(super) fn client_config(ca: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let provider = rustls::crypto::aws_lc_rs::default_provider().into();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let roots = match ca {
        Some(file) => roots_of(file).with_context(|| format!("--ca {}", file.display()))?,
        None => roots_of_machine()?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots_of(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        bail!("no certificate is in it (PEM)");
    }
    Ok(roots)
}

fn roots_of_machine() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Those that cannot be read or are malformed are of no use to anybody; the others count.
    let (known, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if known == 0 {
        bail!(
            "this machine knows no authorities (Debian: the package ca-certificates); name the server's by --ca FILE"
        );
    }
    Ok(roots)
}
