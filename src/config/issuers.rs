//! Who else may issue tokens for clients: `auth.jwt.issuers`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use url::{Host, Url};

use super::units::{duration, one_or_more, text};
use crate::auth::jwks::SigningAlgorithm;
use crate::auth::permissions::Role;
use crate::users::HubAccess;

/// The section `auth.jwt`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtConfig {
    /// Who else may issue tokens for clients, such as your login service (OpenID Connect), at most
    /// [`MAX_ISSUERS`](JwtConfig::MAX_ISSUERS). Their tokens open the API to nobody.
    ///
    /// Default none; `FOLKMOOT__AUTH__JWT__ISSUERS` (a JSON list).
    pub issuers: Vec<IssuerConfig>,
}

impl JwtConfig {
    /// Most issuers: the keys of each are kept and refreshed.
    pub const MAX_ISSUERS: usize = 32;

    /// What is wrong with the issuers.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.issuers.len() > Self::MAX_ISSUERS {
            problems.push(format!("at most {} issuers", Self::MAX_ISSUERS));
        }
        for (number, issuer) in self.issuers.iter().enumerate() {
            let of_issuer = |problem: String| format!("'{}': {problem}", issuer.issuer);
            problems.extend(issuer.problems().into_iter().map(of_issuer));
            if self.issuers.iter().take(number).any(|other| other.issuer == issuer.issuer) {
                problems.push(of_issuer("is listed twice; its tokens would mean two things".to_owned()));
            }
        }
        problems
    }
}

/// One issuer: how its tokens are recognized, and what they mean here.
///
/// Claims are named by their names; where a token has none of that name, dots lead into objects
/// (`realm_access.roles`).
///
/// ```
/// use folkmoot::config::{Config, IssuerConfig};
///
/// let login = "https://login.example.com/realms/staff";
/// let mut issuer = IssuerConfig::new(login, format!("{login}/protocol/openid-connect/certs").parse()?, "folkmoot");
/// issuer.data.insert("username".into(), "preferred_username".into());
/// let mut config = Config::default();
/// config.auth.jwt.issuers.push(issuer);
/// assert!(config.validate().is_ok());
/// # Ok::<(), folkmoot::config::KeySetLocationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IssuerConfig {
    /// The claim `iss` of its tokens, to the letter.
    pub issuer: String,
    /// Where its public keys are (JWKS): an `https` URL, `http` on this machine, or a file.
    #[serde(with = "text")]
    pub jwks: KeySetLocation,
    /// What its tokens are made out to when they are meant for us: one of these must be in their claim `aud`.
    #[serde(deserialize_with = "one_or_more::deserialize")]
    pub audiences: Vec<String>,
    /// How it signs. Default RS256, ES256 and EdDSA; RS384, RS512, PS256, PS384, PS512 and ES384 are known too.
    #[serde(default = "usual_algorithms", deserialize_with = "one_or_more::deserialize")]
    pub algorithms: Vec<SigningAlgorithm>,
    /// How often its keys are asked for again. Default `1h`: keys that it withdraws count no longer than that.
    #[serde(default = "an_hour", with = "duration")]
    pub refresh: Duration,
    /// How soon they may be asked for again because a token names one that is not known. Default `30s`: forged tokens
    /// have us ask no more often, and a new key works that soon.
    #[serde(default = "half_a_minute", with = "duration")]
    pub cooldown: Duration,
    /// The hubs that its tokens open. Default the default hub; `*` is all of them.
    #[serde(default, deserialize_with = "hubs")]
    pub hubs: HubAccess,
    /// The claim that becomes the user id. Default `sub`.
    #[serde(default = "sub")]
    pub user_claim: String,
    /// What is put before it, such as `staff/`, so that nobody has the user id of a user of the store or of another
    /// issuer. Default nothing.
    #[serde(default)]
    pub user_prefix: String,
    /// The roles that each of its tokens gives. Default none.
    #[serde(default, deserialize_with = "one_or_more::deserialize")]
    pub roles: Vec<Role>,
    /// The claim with names of further roles, a text or a list. Default none.
    #[serde(default)]
    pub role_claim: Option<String>,
    /// The roles here that each of these names stands for. Default none.
    #[serde(default, deserialize_with = "role_map")]
    pub role_map: BTreeMap<String, Vec<Role>>,
    /// With what a name begins that is a role of ours after it, such as `folkmoot:` in
    /// `folkmoot:webpubsub.sendToGroup`. With an empty text every name is taken as it stands. Default none: only
    /// `role_map` counts.
    #[serde(default)]
    pub role_prefix: Option<String>,
    /// The claim with the groups to be put into, a text or a list. Default none.
    #[serde(default)]
    pub group_claim: Option<String>,
    /// Where the user data comes from: fields (`username`, `department`, `phone`, `age`, or one that goes into `data`)
    /// and the claim of each. Default none: others see what is listed in `users.public_fields`.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

impl IssuerConfig {
    /// An issuer with everything else at its default.
    pub fn new(issuer: impl Into<String>, jwks: KeySetLocation, audience: impl Into<String>) -> Self {
        IssuerConfig {
            issuer: issuer.into(),
            jwks,
            audiences: vec![audience.into()],
            algorithms: usual_algorithms(),
            refresh: an_hour(),
            cooldown: half_a_minute(),
            hubs: HubAccess::Default,
            user_claim: sub(),
            user_prefix: String::new(),
            roles: Vec::new(),
            role_claim: None,
            role_map: BTreeMap::new(),
            role_prefix: None,
            group_claim: None,
            data: BTreeMap::new(),
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut that = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        that(!self.issuer.is_empty(), "the claim 'iss' of its tokens is not empty");
        let has_audience = !self.audiences.is_empty() && self.audiences.iter().all(|audience| !audience.is_empty());
        that(has_audience, "audiences: tokens that it made for others would open connections here; name one at least");
        that(!self.algorithms.is_empty(), "algorithms: name one at least");
        that(self.refresh >= Duration::from_secs(1), "refresh: must be at least 1s");
        that(self.cooldown >= Duration::from_millis(100), "cooldown: must be at least 100ms");
        that(!self.user_claim.is_empty(), "user_claim: nobody would have a user id");
        let roles = self.roles.iter().chain(self.role_map.values().flatten());
        let gives_operators = roles.into_iter().any(Role::is_for_operators);
        that(!gives_operators, "folkmoot.admin and folkmoot.admin.read are for users of the store alone");
        let is_read = self.role_claim.is_some() || (self.role_map.is_empty() && self.role_prefix.is_none());
        that(is_read, "role_map and role_prefix need role_claim, whose names they explain");
        let is_explained = self.role_claim.is_none() || self.role_prefix.is_some() || !self.role_map.is_empty();
        that(
            is_explained,
            "role_claim: say what its names mean by role_map, or by role_prefix (\"\" takes them as they are)",
        );
        let named = [&self.role_claim, &self.group_claim].into_iter().flatten().chain(self.data.values());
        that(named.into_iter().all(|name| !name.is_empty()), "a claim has a name");
        let reserved = matches!(&self.hubs, HubAccess::Only(hubs) if hubs.iter().any(|hub| hub.is_reserved()));
        that(!reserved, "hubs: names beginning with 'folkmoot.' are Folkmoot's own");
        problems
    }
}

fn usual_algorithms() -> Vec<SigningAlgorithm> {
    vec![SigningAlgorithm::RS256, SigningAlgorithm::ES256, SigningAlgorithm::EdDsa]
}

fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn sub() -> String {
    "sub".to_owned()
}

fn hubs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HubAccess, D::Error> {
    let names: Vec<String> = one_or_more::deserialize(deserializer)?;
    HubAccess::parse(&names).map_err(serde::de::Error::custom)
}

fn role_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<Role>>, D::Error> {
    #[derive(Deserialize)]
    struct Roles(#[serde(deserialize_with = "one_or_more::deserialize")] Vec<Role>);
    let written = BTreeMap::<String, Roles>::deserialize(deserializer)?;
    Ok(written.into_iter().map(|(name, Roles(roles))| (name, roles)).collect())
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeySetLocation {
    /// Asked for.
    Url(Url),
    /// Read.
    File(PathBuf),
}

/// Why a text is no location of a key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetLocationError {
    /// No `https` URL.
    #[error("'{0}': keys are believed from an https URL, an http URL of this machine (http://127.0.0.1:…), or a file")]
    Unsafe(String),
    /// Looks like a URL and is none that can be asked.
    #[error("'{0}' is not a URL such as https://login.example.com/keys, without user, password and fragment")]
    Url(String),
    /// Nothing at all.
    #[error("a URL or the name of a file is wanted")]
    Empty,
}

impl FromStr for KeySetLocation {
    type Err = KeySetLocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(KeySetLocationError::Empty);
        }
        if !text.contains("://") {
            return Ok(KeySetLocation::File(text.into()));
        }
        let url = Url::parse(text).map_err(|_| KeySetLocationError::Url(text.to_owned()))?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !is_bare || url.host().is_none() {
            // Without what may be a password.
            return Err(KeySetLocationError::Url(format!(
                "{}://{}/…",
                url.scheme(),
                url.host_str().unwrap_or_default()
            )));
        }
        match url.scheme() {
            "https" => Ok(KeySetLocation::Url(url)),
            "http" if is_this_machine(&url) => Ok(KeySetLocation::Url(url)),
            _ => Err(KeySetLocationError::Unsafe(text.to_owned())),
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Display for KeySetLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySetLocation::Url(url) => url.fmt(f),
            KeySetLocation::File(file) => file.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::HubName;

    fn read(value: serde_json::Value) -> Result<IssuerConfig, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn minimal() -> serde_json::Value {
        json!({"issuer": "https://login.example", "jwks": "https://login.example/keys", "audiences": "folkmoot"})
    }

    fn with(name: &str, value: serde_json::Value) -> serde_json::Value {
        let mut issuer = minimal();
        issuer[name] = value;
        issuer
    }

    #[test]
    fn an_issuer_needs_its_name_its_keys_and_an_audience() {
        let issuer = read(minimal()).unwrap();
        let made =
            IssuerConfig::new("https://login.example", "https://login.example/keys".parse().unwrap(), "folkmoot");
        assert_eq!(issuer, made);
        assert_eq!(issuer.problems(), [""; 0]);
        for name in ["issuer", "jwks", "audiences"] {
            let mut lacking = minimal();
            lacking.as_object_mut().unwrap().remove(name);
            assert!(read(lacking).unwrap_err().contains(name), "{name}");
        }
        assert!(read(with("audience", json!("x"))).unwrap_err().contains("audience"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut issuer = read(with("role_map", json!({"staff": "webpubsub.sendToGroup"}))).unwrap();
        issuer.role_claim = Some("roles".to_owned());
        issuer.hubs = HubAccess::Only(vec![HubName::parse("chat").unwrap()]);
        issuer.jwks = "keys/staff.json".parse().unwrap();
        assert_eq!(read(serde_json::to_value(&issuer).unwrap()), Ok(issuer));
    }

    #[test]
    fn what_would_let_in_too_many_is_refused() {
        for (name, value, problem) in [
            ("issuer", json!(""), "'iss'"),
            ("audiences", json!([]), "audiences"),
            ("audiences", json!([""]), "audiences"),
            ("algorithms", json!([]), "algorithms"),
            ("refresh", json!("0s"), "refresh"),
            ("cooldown", json!("0s"), "cooldown"),
            ("user_claim", json!(""), "user_claim"),
            ("roles", json!("folkmoot.admin"), "folkmoot.admin"),
            ("role_map", json!({"boss": ["folkmoot.admin.read"]}), "folkmoot.admin"),
            ("role_map", json!({"boss": []}), "role_claim"),
            ("role_claim", json!("roles"), "role_map"),
            ("group_claim", json!(""), "claim"),
            ("data", json!({"username": ""}), "claim"),
            ("hubs", json!("folkmoot.admin"), "hubs"),
        ] {
            let problems = read(with(name, value.clone())).unwrap().problems();
            assert!(problems.iter().any(|told| told.contains(problem)), "{name}: {value}: {problems:?}");
        }
        for (name, value) in [
            ("algorithms", json!("HS256")),
            ("algorithms", json!(["none"])),
            ("roles", json!("boss")),
            ("hubs", json!(["*", "chat"])),
            ("refresh", json!(60)),
        ] {
            assert!(read(with(name, value.clone())).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn one_issuer_is_listed_once() {
        let issuer = read(minimal()).unwrap();
        let jwt = |count| JwtConfig { issuers: vec![issuer.clone(); count] };
        assert_eq!(jwt(1).problems().len(), 0);
        assert!(jwt(2).problems()[0].contains("twice"));
        assert!(jwt(33).problems()[0].contains("at most 32"));
    }

    #[test]
    fn keys_come_from_where_nobody_can_exchange_them() {
        let location = |text: &str| text.parse::<KeySetLocation>();
        for url in ["https://a.example/k?p=1", "http://localhost:1/", "http://127.0.0.9/k", "http://[::1]:80/k"] {
            assert!(matches!(location(url), Ok(KeySetLocation::Url(_))), "{url}");
        }
        for file in ["keys.json", "/run/secrets/keys.json", "C:\\keys.json"] {
            assert_eq!(location(file), Ok(KeySetLocation::File(file.into())));
        }
        for bad in
            ["", "http://a.example/k", "ftp://a.example/k", "http://10.0.0.1/k", "https://", "https://a.example/#k"]
        {
            assert!(location(bad).is_err(), "{bad}");
        }
        let secret = location("https://me:hunter2@a.example/k").unwrap_err().to_string();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
