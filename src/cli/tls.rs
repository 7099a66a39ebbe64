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
        Some(file) => roots_of(file)?,
        None => roots_of_machine()?,
    };
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // A WebSocket is no stream of HTTP/2.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots_of(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let shown = format!("--ca {}", file.display());
    let read = CertificateDer::pem_file_iter(file).with_context(|| format!("{shown} cannot be read"))?;
    for certificate in read {
        let certificate = certificate.with_context(|| format!("{shown} is no file of certificates (PEM)"))?;
        roots.add(certificate).with_context(|| format!("a certificate in {shown} cannot be used"))?;
    }
    if roots.is_empty() {
        bail!("{shown} has no certificate (PEM)");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let told = |path: &Path| format!("{:#}", client_config(Some(path)).unwrap_err());
        assert!(told(file.path()).contains("has no certificate"), "{}", told(file.path()));
        assert!(told(Path::new("/nowhere/ca.pem")).contains("/nowhere/ca.pem cannot be read"));
    }
}
