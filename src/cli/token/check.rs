//! `folkmoot token check`: what a token says, and whether the server of this configuration would take it.
//!
//! It decides by the same functions as the server. What only a request tells (the name it was sent to, its origin) is
//! taken from the token itself.

use std::io::{self, BufRead, Read, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use clap::Args;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{foreign, place};
use crate::auth::host::{BaseUrl, OwnNames};
use crate::auth::permissions::{HubRole, Role};
use crate::auth::token::{MAX_TOKEN_BYTES, STORE_USER_CLAIM, TokenError, Tokens};
use crate::cli::text::{printable, printable_json, span};
use crate::clock;
use crate::config::Config;
use crate::ids::{HubName, UserId};
use crate::users;

const EXAMPLES: &str = "\
Examples:
  folkmoot token check eyJ…
  folkmoot token new --user mark | folkmoot token check -
  folkmoot token check --hub chat --json - < token.txt

Exit status: 0 when the server of this configuration would take it, 1 when it would not; the reason is on standard \
error. A token on the command line is seen by everybody who can list this machine's processes; better by '-'.";

/// Tell what a token says, and whether this server would take it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// The token, or a URL with it; - reads it from the standard input
    #[arg(default_value = "-", value_name = "TOKEN")]
    token: String,
    /// The hub that it must open
    #[arg(long, value_parser = HubName::parse)]
    hub: Option<HubName>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a token is for, by its audience.
#[derive(Debug, Clone, PartialEq)]
enum Purpose {
    /// Connections to a hub.
    Client(HubName),
    /// A fresh token, without the password.
    Refresh,
    /// The HTTP API, or one request to it.
    Request {
        /// The path, as far as the server sees it.
        path: String,
    },
}

/// An audience, read.
#[derive(Debug)]
pub(super) struct Audience {
    /// The server that is meant.
    base: BaseUrl,
    purpose: Purpose,
}

impl Audience {
    /// Reads a claim `aud` that names one of the places of a server.
    fn parse(aud: &str) -> Option<Self> {
        let url = BaseUrl::parse(aud.split(['?', '#']).next()?).ok()?;
        let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
        let lower = path.to_ascii_lowercase();
        let (base_path, purpose) = if let Some(at) = lower.find("/client/hubs/") {
            let hub = HubName::parse(path.get(at + "/client/hubs/".len()..)?).ok()?;
            (path.get(..at)?, Purpose::Client(hub))
        } else if let Some(base_path) = path.strip_suffix("/auth/token") {
            (base_path, Purpose::Refresh)
        } else {
            // Names in it may be encoded, and stay so.
            let at = url.path().find("/api/").or_else(|| url.path().strip_suffix("/api").map(str::len))?;
            let (base_path, rest) = url.path().split_at_checked(at)?;
            (base_path, Purpose::Request { path: rest.to_owned() })
        };
        let scheme = if url.secure { "https" } else { "http" };
        Some(Audience { base: BaseUrl::parse(&format!("{scheme}://{}{base_path}", url.host)).ok()?, purpose })
    }

    fn describe(&self) -> String {
        match &self.purpose {
            Purpose::Client(hub) => format!("clients of the hub '{hub}' at {}", self.base),
            Purpose::Refresh => format!("a fresh token from {}", self.base),
            Purpose::Request { path } if path == "/api" => format!("the HTTP API at {}", self.base),
            Purpose::Request { path } => format!("requests to {}{}", self.base, printable(path)),
        }
    }
}

/// What was found out about a token.
pub(super) struct Findings {
    pub(super) claims: Map<String, Value>,
    pub(super) audience: Option<Audience>,
    /// Under whose key it is signed, where that is one that counts.
    pub(super) signer: Option<String>,
    /// Why it would be refused.
    pub(super) refusal: Option<String>,
    /// What could not be found out, or what to look after.
    pub(super) notes: Vec<String>,
}

impl CheckArgs {
    pub(super) fn run(&self, config: &Config) -> anyhow::Result<()> {
        let token = self.read_token()?;
        let found = match foreign::examine(&token, self.hub.as_ref(), config)? {
            Some(found) => found,
            None => {
                let tokens = Tokens::new(&place::access_keys(config)?, config.auth.clock_skew);
                self.examine(&token, &tokens, config)?
            }
        };
        let out = &mut io::stdout();
        if self.json {
            writeln!(out, "{}", printable_json(&found.as_json().to_string()))?;
        } else {
            found.write(out)?;
        }
        match found.refusal {
            Some(reason) => bail!("refused: {reason}"),
            None => Ok(()),
        }
    }

    fn read_token(&self) -> anyhow::Result<Zeroizing<String>> {
        let mut text = Zeroizing::new(self.token.clone());
        if *text == "-" {
            text.clear();
            // One more than allowed, which is then refused as too long; the URL around it takes some too.
            let input = io::stdin().lock().take(2 * MAX_TOKEN_BYTES as u64);
            io::BufReader::new(input).read_line(&mut text).context("the standard input cannot be read")?;
        }
        let token = match text.split_once("access_token=") {
            Some((_, rest)) => rest.split('&').next().unwrap_or_default(),
            None => &text,
        };
        let token = Zeroizing::new(token.trim().to_owned());
        if token.is_empty() {
            bail!("there is no token: name it, or write it to the standard input");
        }
        Ok(token)
    }

    fn examine(&self, token: &str, tokens: &Tokens, config: &Config) -> anyhow::Result<Findings> {
        let claims = payload(token).unwrap_or_default();
        let audience = texts(claims.get("aud")).iter().find_map(|aud| Audience::parse(aud));
        let verdict = verify(token, tokens, audience.as_ref(), config);
        let signed = !matches!(verdict, Err(TokenError::Signature | TokenError::Malformed | TokenError::TooLong));
        let mut notes = Vec::new();
        let refusal = match verdict {
            Err(error) => Some(error.to_string()),
            Ok(()) => {
                let refusal = self.refused_hub(&claims, audience.as_ref(), config);
                match refusal {
                    Some(reason) => Some(reason),
                    None => refused_user(&claims, audience.as_ref(), config, &mut notes)?,
                }
            }
        };
        if let Some(audience) = audience.as_ref().filter(|_| refusal.is_none())
            && !is_own_name(&audience.base, config)
        {
            notes.push(format!(
                "it is good under the name {} only; server.public_urls does not have it",
                audience.base.host
            ));
        }
        let signer = signed.then(|| "under an access key of this configuration".to_owned());
        Ok(Findings { claims, audience, signer, refusal, notes })
    }

    fn refused_hub(&self, claims: &Map<String, Value>, audience: Option<&Audience>, config: &Config) -> Option<String> {
        let hub = match audience.map(|audience| &audience.purpose) {
            Some(Purpose::Client(hub)) => hub,
            _ => return self.hub.as_ref().map(|wanted| format!("the token opens no hub, and so not '{wanted}'")),
        };
        if let Some(wanted) = self.hub.as_ref().filter(|wanted| *wanted != hub) {
            return Some(format!("the token is for the hub '{hub}', not for '{wanted}'"));
        }
        if hub.is_reserved() && !is_store_user(claims) {
            let roles = texts(claims.get("role"));
            let admin = roles.iter().filter_map(|role| role.parse().ok()).any(|role: Role| role.is_for_operators());
            return (!admin).then(|| format!("the hub '{hub}' is entered with an admin role only"));
        }
        if !hub.is_reserved() && !config.hubs.allow_undeclared && !config.hubs.is_declared(hub) {
            return Some(format!("there is no hub '{hub}' (hubs.allow_undeclared is false)"));
        }
        None
    }
}

/// Asks as the server would for a request under the name that the token itself gives.
fn verify(token: &str, tokens: &Tokens, audience: Option<&Audience>, config: &Config) -> Result<(), TokenError> {
    let now = SystemTime::now();
    let Some(Audience { base, purpose }) = audience else {
        let names = OwnNames { host: None, public_urls: &[] };
        return tokens.verify_request(token, "", names, now).map(drop);
    };
    let names = OwnNames { host: Some(&base.host), public_urls: std::slice::from_ref(base) };
    match purpose {
        Purpose::Client(hub) => tokens.verify_client(token, hub, config.hubs.hub(hub).masks, names, now).map(drop),
        Purpose::Refresh => tokens.verify_refresh(token, names, now).map(drop),
        Purpose::Request { path } => tokens.verify_request(token, path, names, now).map(drop),
    }
}

/// What the store says about the user that the token names; nothing where it names none.
fn refused_user(
    claims: &Map<String, Value>,
    audience: Option<&Audience>,
    config: &Config,
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<String>> {
    let user = claims.get("sub").and_then(Value::as_str).and_then(|sub| UserId::parse(sub).ok());
    let Some(login) = user.filter(|_| is_store_user(claims)) else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let store = users::open_existing(config.database().expose()).await?;
        store.find(&login).await
    });
    let record = match found {
        Ok(Some(user)) => user.record,
        Ok(None) => return Ok(Some(format!("the store has no user '{login}'"))),
        Err(error) => {
            notes.push(format!("the user could not be looked up: {error}"));
            return Ok(None);
        }
    };
    if record.disabled {
        return Ok(Some(format!("the user '{login}' is disabled")));
    }
    let has_admin =
        |counts: &dyn Fn(&HubRole) -> bool| record.roles.iter().any(|r| counts(r) && r.role.is_for_operators());
    Ok(match audience.map(|audience| &audience.purpose) {
        Some(Purpose::Client(hub)) if hub.is_reserved() => {
            (!has_admin(&|role| role.counts_in(hub))).then(|| format!("the user '{login}' has no admin role"))
        }
        Some(Purpose::Client(hub)) if !record.hubs.allows(hub, &config.hubs.default) => {
            Some(format!("the user '{login}' may not enter the hub '{hub}'"))
        }
        Some(Purpose::Request { .. }) => {
            (!has_admin(&|role| role.hub.is_none())).then(|| format!("the user '{login}' has no admin role"))
        }
        _ => None,
    })
}

fn is_store_user(claims: &Map<String, Value>) -> bool {
    claims.get(STORE_USER_CLAIM).and_then(Value::as_bool).unwrap_or_default()
}

/// Whether clients of this configuration's server come under this name.
fn is_own_name(base: &BaseUrl, config: &Config) -> bool {
    let public = config.server.public_urls.iter().filter_map(|url| BaseUrl::parse(url.as_str()).ok());
    let port = config.server.port;
    let local = base.host.is_loopback_name() && (port == 0 || base.host.port_for(base.secure) == port);
    local || public.chain(place::public_url(config).ok()).any(|own| own.host.same_place(&base.host))
}

fn date(at: SystemTime) -> String {
    clock::rfc3339_of_seconds(clock::seconds(at))
}

/// The claims of a token, unverified.
pub(super) fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// A claim that is a text or a list of texts.
fn texts(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

impl Findings {
    fn time(&self, claim: &str) -> Option<SystemTime> {
        let seconds = self.claims.get(claim)?.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))
    }

    /// The claims that carry user data.
    fn others(&self) -> Map<String, Value> {
        let known = ["aud", "exp", "iat", "nbf", "sub", "role", "webpubsub.group", STORE_USER_CLAIM];
        let others = self.claims.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        others.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn as_json(&self) -> Value {
        let seconds = |claim| self.time(claim).map(clock::seconds);
        let hub = match self.audience.as_ref().map(|audience| &audience.purpose) {
            Some(Purpose::Client(hub)) => Some(hub.as_str()),
            _ => None,
        };
        json!({
            "good": self.refusal.is_none(), "reason": self.refusal, "signed": self.signer.is_some(), "hub": hub,
            "audiences": texts(self.claims.get("aud")), "user": self.claims.get("sub"),
            "storeUser": is_store_user(&self.claims), "roles": texts(self.claims.get("role")),
            "groups": texts(self.claims.get("webpubsub.group")), "issuedAt": seconds("iat"),
            "expiresAt": seconds("exp"), "claims": self.others(), "notes": self.notes,
        })
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let now = SystemTime::now();
        let list = |claim| Some(texts(self.claims.get(claim)).join(", ")).filter(|list| !list.is_empty());
        let user = self.claims.get("sub").and_then(Value::as_str);
        let of_store = if is_store_user(&self.claims) { " (a user of the store)" } else { "" };
        let unknown: Vec<_> = texts(self.claims.get("role"));
        let unknown: Vec<_> = unknown.into_iter().filter(|role| role.parse::<Role>().is_err()).collect();
        let others = self.others();
        let aud = || Some(texts(self.claims.get("aud")).join(", ")).filter(|aud| !aud.is_empty());
        let expires = self.time("exp").map(|at| match at.duration_since(now) {
            Ok(left) => format!("{} (in {})", date(at), span(left)),
            Err(error) => format!("{} ({} ago)", date(at), span(error.duration())),
        });
        let signed = self.signer.as_deref().unwrap_or("by nobody who counts here");
        let lines = [
            ("signed", Some(signed.to_owned())),
            ("for", self.audience.as_ref().map(Audience::describe).or_else(aud)),
            ("user", user.map(|user| format!("{user}{of_store}"))),
            ("roles", list("role")),
            ("unknown", (!unknown.is_empty()).then(|| format!("{} (grants nothing)", unknown.join(", ")))),
            ("groups", list("webpubsub.group")),
            ("data", (!others.is_empty()).then(|| Value::Object(others).to_string())),
            ("issued", self.time("iat").map(date)),
            ("expires", expires),
            ("verdict", Some(if self.refusal.is_none() { "good" } else { "refused" }.to_owned())),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                writeln!(out, "{name:<9} {}", printable(&value))?;
            }
        }
        for note in &self.notes {
            writeln!(out, "note      {}", printable(note))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_read_with_its_base_path() {
        let read = |aud| Audience::parse(aud).map(|audience| (audience.base.to_string(), audience.purpose));
        let client = Purpose::Client(HubName::parse("chat").unwrap());
        for aud in ["ws://a.example/base/client/hubs/Chat?x=1", "http://A.example/base/Client/Hubs/%63hat"] {
            assert_eq!(read(aud), Some(("http://a.example/base".into(), client.clone())), "{aud}");
        }
        let request = |path: &str| Purpose::Request { path: path.into() };
        for (aud, purpose) in [
            ("https://a.example/auth/token", Purpose::Refresh),
            ("https://a.example/api", request("/api")),
            ("https://a.example/api/hubs/chat/groups/a%2Fb/:send", request("/api/hubs/chat/groups/a%2Fb/:send")),
        ] {
            assert_eq!(read(aud), Some(("https://a.example".into(), purpose)), "{aud}");
        }
        for aud in ["", "ftp://a/api", "https://a.example/", "https://a.example/client/hubs/a-b", "x"] {
            assert_eq!(read(aud), None, "{aud}");
        }
    }
}
