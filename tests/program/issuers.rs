//! Tokens of another issuer as an operator meets them: its keys over https, in a file, and what the commands say.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::client::Client;
use crate::process::{Program, Workplace, eventually};

const ISSUER: &str = "https://login.example";

/// An issuer that signs with Ed25519.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        Issuer(Ed25519KeyPair::generate().unwrap())
    }

    fn key_set(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]}).to_string()
    }

    fn token(&self, claims: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut all = json!({"iss": ISSUER, "aud": "folkmoot", "sub": "mark", "exp": now + 3600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "one"})), part(&all));
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes())))
    }

    /// Serves the keys over https, on a thread that ends with the test; tells where.
    fn serve(&self, authority: &Authority) -> String {
        let (cert, key) = authority.issue();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = Arc::new(config.with_single_cert(vec![cert], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let body = self.key_set();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket.unwrap());
                let mut head = Vec::new();
                let mut byte = [0];
                // Whoever does not believe the certificate goes.
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
            }
        });
        format!("https://localhost:{}/keys", address.port())
    }
}

fn config(jwks: &str) -> String {
    let issuer = json!({
        "issuer": ISSUER, "jwks": jwks, "audiences": "folkmoot", "role_claim": "roles",
        "role_map": {"writer": "webpubsub.sendToGroup"}, "data": {"username": "name"},
    });
    // JSON is YAML.
    format!("auth: {{ jwt: {{ issuers: [{issuer}] }} }}\n")
}

fn enters(server: &Program, token: &str) -> Result<Client, u16> {
    Client::try_connect_to(server.address, &format!("/ws?access_token={token}"), &[])
}

/// Status, standard output, standard error.
fn checked(workplace: &Workplace, token: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let output = workplace.run_with_input(&[&["token", "check", "-"], more].concat(), token);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn keys_are_had_over_https_from_whom_this_machine_believes() {
    let (authority, issuer) = (Authority::new(), Issuer::new());
    let url = issuer.serve(&authority);
    let workplace = Workplace::with_config(&config(&url));
    let file = workplace.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let token = issuer.token(json!({}));
    let server = workplace.serve(&[]);
    assert!(enters(&server, &token).is_err(), "the certificate of a stranger was believed");
    server.wait_for("the keys of an issuer cannot be had");
    drop(server);

    let workplace = workplace.env("SSL_CERT_FILE", file.to_str().unwrap());
    let server = workplace.serve(&[]);
    assert!(enters(&server, &token).is_ok());
    let (status, said, error) = checked(&workplace, &token, &[]);
    assert_eq!((status, error.as_str()), (Some(0), ""), "{said}");
}

#[test]
fn a_file_with_keys_must_be_there_at_the_start_and_is_read_again_by_sighup() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let workplace = Workplace::with_config(&config("keys.json"));
    let file = workplace.path().join("keys.json");
    for (content, reason) in [(None, "No such file"), (Some("{}"), "it is no key set")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let output = workplace.run(&["--set", "server.port=0"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{error}");
        assert!(error.contains("'https://login.example' in keys.json") && error.contains(reason), "{error}");
    }
    std::fs::write(&file, old.key_set()).unwrap();
    let server = workplace.serve(&[]);
    let (of_old, of_new) = (old.token(json!({})), new.token(json!({})));
    assert!(enters(&server, &of_old).is_ok() && enters(&server, &of_new).is_err());
    std::fs::write(&file, new.key_set()).unwrap();
    server.signal("HUP");
    eventually("the new key counts", || enters(&server, &of_new).is_ok());
    assert!(enters(&server, &of_old).is_err());
}

#[test]
fn token_check_tells_what_a_token_of_an_issuer_means_here() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let workplace = Workplace::with_config(&config("keys.json"));
    std::fs::write(workplace.path().join("keys.json"), issuer.key_set()).unwrap();
    let token = issuer.token(json!({"name": "Mark", "roles": ["writer", "other"], "email": "mark@example.com"}));
    let (status, said, error) = checked(&workplace, &token, &[]);
    assert_eq!((status, error.as_str()), (Some(0), ""), "{said}");
    for part in
        ["a key of https://login.example", "mark", "webpubsub.sendToGroup", "Mark", "hub 'chat'", "verdict   good"]
    {
        assert!(said.contains(part), "'{part}' is not in {said}");
    }
    assert!(!said.contains("email"), "{said}");
    for (token, more, reason) in [
        (token.clone(), &["--hub", "other"][..], "do not open the hub 'other'"),
        (issuer.token(json!({"aud": "x"})), &[], "did not mean this server"),
        (issuer.token(json!({"iss": "x"})), &[], "from no issuer"),
        (issuer.token(json!({"exp": 1})), &[], "has expired"),
        (stranger.token(json!({})), &[], "not signed under the key of its issuer"),
    ] {
        let (status, said, error) = checked(&workplace, &token, more);
        assert!(status == Some(1) && error.contains(reason), "{said}{error}");
    }
    std::fs::remove_file(workplace.path().join("keys.json")).unwrap();
    let (_, _, error) = checked(&workplace, &token, &[]);
    assert!(error.contains("the keys of its issuer (keys.json): cannot be read"), "{error}");
}
