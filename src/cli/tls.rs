//! TLS as a client: whom a command that talks to a server believes.

use std::path::Path;

use anyhow::{Context, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::transport::trust;

/// Believes the authorities in `ca`, a PEM file; without one, those of this machine.
pub(super) fn client_config(ca: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let roots = match ca {
        Some(file) => roots_of(file)?,
        None => trust::authorities_of_machine().context(
            "this machine knows no authorities (Debian: the package ca-certificates); name the server's by --ca FILE",
        )?,
    };
    Ok(trust::client_config(roots)?)
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
