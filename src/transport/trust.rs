//! TLS as a client: whom this program believes when it asks others.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// The authorities that this machine believes (or `SSL_CERT_FILE` names); `None` where it knows none.
pub fn authorities_of_machine() -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Those that cannot be read or are malformed are of no use to anybody; the others count.
    let (known, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    (known > 0).then_some(roots)
}

/// How others are spoken to: in HTTP/1.1, which a WebSocket begins with too.
///
/// # Errors
/// What rustls says where there are no protocol versions for its provider.
pub fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
