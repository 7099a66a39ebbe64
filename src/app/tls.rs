//! TLS on the server's own listener: its certificate, which can be exchanged while connections are open, and how a
//! connection becomes one under TLS. What is written on it is `transport/tls.rs`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::net::TcpStream;
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::config::TlsConfig;
use crate::http::porch::Porch;
use crate::metrics::Metrics;
use crate::transport::tls::bound;

/// What a client that speaks plain HTTP is answered.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 47\r\nConnection: close\r\n\r\n\
    This port speaks TLS; use https:// or wss://.\r\n";
/// What of such a client's request is read, so that the end of the connection does not overtake the answer.
const DISCARD_BYTES: usize = 16 * 1024;

/// Why a certificate cannot be used: the setting, the file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {}: {problem}", .file.display())]
pub struct CertificateError {
    /// The key in the configuration.
    setting: &'static str,
    /// The file that it names.
    file: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is not PEM: {0}")]
    NotPem(PemError),
    #[error("has no certificate in it")]
    NoCertificate,
    #[error("has no private key in it (PKCS #8, PKCS #1 or SEC1, without a password)")]
    NoKey,
    #[error("is not the private key of the certificate in server.tls.cert")]
    Mismatch,
    #[error("cannot be used: {0}")]
    Unusable(RustlsError),
}

/// The certificate that clients are shown, and where it comes from.
pub struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// Reads the certificate that the configuration names; `None` where it names none.
    ///
    /// # Errors
    /// [`CertificateError`] for files that are missing, unreadable, no PEM, or do not belong together.
    pub fn of_config(config: &TlsConfig) -> Result<Option<Arc<Self>>, CertificateError> {
        let (Some(cert), Some(key)) = (&config.cert, &config.key) else { return Ok(None) };
        let current = ArcSwap::from_pointee(read(cert, key)?);
        Ok(Some(Arc::new(Certificates { cert: cert.clone(), key: key.clone(), current })))
    }

    /// Reads the files again. Connections that come later are shown what is in them now, and those that are open stay.
    /// Tells whether it is another certificate.
    ///
    /// # Errors
    /// [`CertificateError`]; the certificate so far goes on then.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let new = read(&self.cert, &self.key)?;
        let changed = new.cert != self.current.load().cert;
        self.current.store(Arc::new(new));
        Ok(changed)
    }

    /// Everything that the server's connections under TLS have in common.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, RustlsError> {
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are resumed by what the clients keep, so that theirs cost no memory here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = 1;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("cert", &self.cert).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Named wherever it is used: what is the process's default is for the program around a library to say.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let of = |setting, file: &Path| {
        let file = file.to_owned();
        move |problem| CertificateError { setting, file, problem }
    };
    let chain = read_chain(cert).map_err(of("server.tls.cert", cert))?;
    let private = read_key(key).map_err(of("server.tls.key", key))?;
    CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
        RustlsError::InconsistentKeys(_) => of("server.tls.key", key)(Problem::Mismatch),
        RustlsError::InvalidCertificate(_) => of("server.tls.cert", cert)(Problem::Unusable(error)),
        error => of("server.tls.key", key)(Problem::Unusable(error)),
    })
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let pem = std::fs::read(file).map_err(Problem::Unreadable)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(Problem::NotPem)?;
    if chain.is_empty() { Err(Problem::NoCertificate) } else { Ok(chain) }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    let pem = Zeroizing::new(std::fs::read(file).map_err(Problem::Unreadable)?);
    warn_of_readers(file);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        PemError::NoItemsFound => Problem::NoKey,
        error => Problem::NotPem(error),
    })
}

#[cfg(unix)]
fn warn_of_readers(file: &Path) {
    use std::os::unix::fs::PermissionsExt;

    const OTHERS: u32 = 0o007;
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0) {
        log::warn!(file:% = file.display(); "every user of this machine can read the private key; take it from them (chmod o= FILE)");
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path) {}

/// How connections become connections under TLS, with the bounds on that.
#[derive(Clone)]
pub struct Handshakes {
    acceptor: TlsAcceptor,
    pending: Arc<Porch>,
    patience: Duration,
    metrics: Metrics,
}

/// Why a connection does not become one under TLS. A peer's mistake, most of the time.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Broken(#[from] io::Error),
    #[error("it took too long")]
    Late,
    #[error("too many were under way, and this one had waited longest")]
    Displaced,
    #[error("the client speaks plain HTTP")]
    PlainHttp,
}

impl Handshakes {
    /// As many at a time as there is room on `pending`, each within `patience`.
    pub fn new(acceptor: TlsAcceptor, pending: Arc<Porch>, patience: Duration, metrics: Metrics) -> Self {
        Handshakes { acceptor, pending, patience, metrics }
    }

    /// Shakes hands with a client; `None` where that fails.
    pub async fn accept(&self, tcp: TcpStream) -> Option<TlsStream<TcpStream>> {
        let peer = tcp.peer_addr().ok();
        let shaken = self.pending.enter().serve(timeout(self.patience, self.shake_hands(tcp))).await;
        let failed = match shaken {
            Some(Ok(Ok(stream))) => return Some(stream),
            Some(Ok(Err(failed))) => failed,
            Some(Err(_)) => Failed::Late,
            None => Failed::Displaced,
        };
        self.metrics.tls_handshake_failures.increment(1);
        let peer = peer.map(|peer| peer.to_string());
        log::debug!(peer = peer.as_deref(), reason:% = failed; "a TLS handshake failed");
        None
    }

    async fn shake_hands(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        // The first byte of TLS says "handshake", which is no letter; that of a request is one.
        let mut first = [0];
        if tcp.peek(&mut first).await? == 1 && first[0].is_ascii_alphabetic() {
            answer_plain_http(tcp).await?;
            return Err(Failed::PlainHttp);
        }
        Ok(self.acceptor.accept_with(tcp, bound).await?)
    }
}

async fn answer_plain_http(mut tcp: TcpStream) -> io::Result<()> {
    discard(&tcp)?;
    tcp.write_all(NOT_TLS).await?;
    tcp.shutdown().await
}

/// Not in the function above, whose future would have the room for it as long as it lives.
fn discard(tcp: &TcpStream) -> io::Result<usize> {
    tcp.try_read(&mut [0; DISCARD_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of its own authority, and its key.
    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    struct Files {
        folder: tempfile::TempDir,
        config: TlsConfig,
    }

    impl Files {
        fn with(cert: &str, key: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let place = |name| Some(folder.path().join(name));
            let config = TlsConfig { cert: place("cert.pem"), key: place("key.pem") };
            let files = Files { folder, config };
            files.write("cert.pem", cert);
            files.write("key.pem", key);
            files
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn error(&self) -> String {
            Certificates::of_config(&self.config).unwrap_err().to_string()
        }
    }

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[test]
    fn without_files_there_is_no_tls() {
        assert!(Certificates::of_config(&TlsConfig::default()).unwrap().is_none());
    }

    #[test]
    fn files_that_cannot_be_used_are_told_with_their_setting_and_name() {
        let (cert, key) = made();
        let (_, other) = made();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for (cert, key, setting, problem) in [
            ("", key.as_str(), "server.tls.cert: ", "cert.pem: has no certificate in it"),
            (broken, &key, "server.tls.cert: ", "cert.pem: is not PEM: "),
            (&key, &key, "server.tls.cert: ", "cert.pem: has no certificate in it"),
            (&cert, "", "server.tls.key: ", "key.pem: has no private key in it"),
            (&cert, &cert, "server.tls.key: ", "key.pem: has no private key in it"),
            (&cert, &other, "server.tls.key: ", "key.pem: is not the private key of the certificate"),
        ] {
            let error = Files::with(cert, key).error();
            assert!(error.starts_with(setting) && error.contains(problem), "{error}");
        }
        let files = Files::with(&cert, &key);
        std::fs::remove_file(files.folder.path().join("key.pem")).unwrap();
        let error = files.error();
        assert!(error.starts_with("server.tls.key: ") && error.contains("key.pem: cannot be read: "), "{error}");
    }

    #[test]
    fn a_reload_tells_whether_the_certificate_is_another_and_a_broken_one_changes_nothing() {
        let (cert, key) = made();
        let files = Files::with(&cert, &key);
        let certificates = Certificates::of_config(&files.config).unwrap().unwrap();
        let shown = || certificates.current.load().cert.clone();
        let first = shown();
        assert!(!certificates.reload().unwrap());

        let (cert, other) = made();
        files.write("cert.pem", &cert);
        assert!(certificates.reload().is_err(), "the key is that of the old one");
        assert_eq!(shown(), first);
        files.write("key.pem", &other);
        assert!(certificates.reload().unwrap());
        assert_ne!(shown(), first);
    }

    #[test]
    fn debug_shows_where_the_key_is_and_nothing_of_it() {
        let (cert, key) = made();
        let files = Files::with(&cert, &key);
        let shown = format!("{:?}", Certificates::of_config(&files.config).unwrap().unwrap());
        assert!(shown.contains("key.pem") && shown.len() < 300, "{shown}");
    }
}
