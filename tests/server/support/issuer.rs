//! Another issuer of tokens: key pairs made on the spot, and a server on this machine that tells their public halves.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use folkmoot::config::IssuerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::DEADLINE;
use super::token::now;

/// Whom the tokens of tests are made out to.
pub const AUDIENCE: &str = "folkmoot";

/// A key pair of an issuer.
pub struct Key {
    /// Its name in the set, and in tokens.
    pub id: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// RSA with 2048 bits.
    pub fn rsa(id: &str) -> Self {
        Key { id: id.to_owned(), pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// On P-256.
    pub fn p256(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Key { id: id.to_owned(), pair: Pair::Ecdsa(pair, "P-256") }
    }

    /// On P-384.
    pub fn p384(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Key { id: id.to_owned(), pair: Pair::Ecdsa(pair, "P-384") }
    }

    /// Ed25519, which is made in no time.
    pub fn ed25519(id: &str) -> Self {
        Key { id: id.to_owned(), pair: Pair::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The bytes of the public half, as the library that made it writes them.
    pub fn public_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ecdsa(pair, _) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// The public half, as it stands in a set.
    pub fn public(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let bytes = self.public_bytes();
        let mut key = match &self.pair {
            // DER: a sequence (4 bytes) of the modulus (4 bytes, a zero, 256 bytes) and 65537.
            Pair::Rsa(_) => json!({"kty": "RSA", "n": encode(&bytes[9..265]), "e": "AQAB"}),
            Pair::Ecdsa(_, curve) => {
                // A point without compression: 4, x, y.
                let (x, y) = bytes[1..].split_at(bytes.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Pair::Ed25519(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes)}),
        };
        key["kid"] = self.id.as_str().into();
        key["use"] = "sig".into();
        key
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::Ecdsa(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token of another issuer; its `Display` is what is sent.
pub struct ForeignToken<'a> {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    key: &'a Key,
}

impl ForeignToken<'_> {
    /// A further claim, or another value for one that is there.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Ends so many seconds from now.
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Another field of the header.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }
}

impl fmt::Display for ForeignToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = self.key.sign(self.header["alg"].as_str().unwrap(), signed.as_bytes());
        write!(f, "{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What an issuer answers.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// This text.
    Answers(String),
    /// A status other than 200, with a header.
    Fails(&'static str),
    /// Nothing, and keeps the connection.
    IsSilent,
}

/// An issuer whose keys are asked for over HTTP. It ends with the test's runtime.
pub struct Issuer {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    asked: watch::Receiver<usize>,
}

impl Issuer {
    /// Tells these keys.
    pub async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behaviour = Arc::new(Mutex::new(answering(keys)));
        let (count, asked) = watch::channel(0);
        let current = behaviour.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|asked| *asked += 1);
                let behaviour = current.lock().unwrap().clone();
                tokio::spawn(answer(stream, behaviour));
            }
        });
        Issuer { address, behaviour, asked }
    }

    /// From now on.
    pub fn tells(&self, keys: &[&Key]) {
        self.behaves(answering(keys));
    }

    /// From now on.
    pub fn behaves(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// How often it was asked.
    pub fn times_asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits until it was asked so often.
    pub async fn asked_times(&self, times: usize) {
        let mut asked = self.asked.clone();
        let waited = timeout(DEADLINE, asked.wait_for(|asked| *asked >= times)).await;
        assert!(waited.is_ok(), "the issuer was asked {} times and not {times}", self.times_asked());
    }

    /// Its name, which is also where it is.
    pub fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its entry in a configuration.
    pub fn config(&self) -> IssuerConfig {
        IssuerConfig::new(self.name(), format!("http://{}/keys", self.address).parse().unwrap(), AUDIENCE)
    }

    /// A token of `mark` for an hour.
    pub fn token<'a>(&self, key: &'a Key, algorithm: &str) -> ForeignToken<'a> {
        token_of(&self.name(), key, algorithm)
    }
}

/// A token of `mark` for an hour, by an issuer of this name.
pub fn token_of<'a>(issuer: &str, key: &'a Key, algorithm: &str) -> ForeignToken<'a> {
    ForeignToken {
        header: json!({"alg": algorithm, "typ": "JWT", "kid": key.id}),
        claims: json!({"iss": issuer, "aud": AUDIENCE, "sub": "mark", "exp": now() + 3600}),
        key,
    }
}

/// A set as a text.
pub fn key_set(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}).to_string()
}

fn answering(keys: &[&Key]) -> Behaviour {
    Behaviour::Answers(key_set(keys))
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = match behaviour {
        Behaviour::Answers(body) => {
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        }
        Behaviour::Fails(status) => format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Behaviour::IsSilent => std::future::pending().await,
    };
    // Whoever asked may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
}
