//! `folkmoot token new`: signs a token for a client of a hub, or for requests to the HTTP API.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};

use super::place;
use crate::auth::audience;
use crate::auth::host::BaseUrl;
use crate::auth::permissions::Role;
use crate::auth::token::{STORE_USER_CLAIM, Tokens};
use crate::clock;
use crate::config::{Config, parse_duration};
use crate::ids::{GroupName, HubName, UserId};

/// Claims that have an option of their own, or that signing sets.
const OWN_CLAIMS: [&str; 7] = ["aud", "exp", "iat", "nbf", "sub", "role", "webpubsub.group"];

const EXAMPLES: &str = "\
Examples:
  folkmoot token new --user mark --role webpubsub.sendToGroup --role webpubsub.joinLeaveGroup.board
  folkmoot token new --user mark --hub chat --group board --claim department=Sales --expires 8h --json
  folkmoot token new --user user-1 --store-user
  folkmoot token new --user ops --api
  curl -H \"Authorization: Bearer $(folkmoot token new --api http://127.0.0.1:8080/api/hubs)\" http://127.0.0.1:8080/api/hubs

A token cannot be taken back before it expires, but by changing the access key; keep --expires short.";

/// Sign a token for a client of a hub, or for the HTTP API
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct NewArgs {
    /// The user id of the connections that the token opens [default: they have none]
    #[arg(long, value_name = "USER", value_parser = UserId::parse)]
    user: Option<UserId>,
    /// USER is a user of the store: data, groups, roles and hubs are read there on connect
    #[arg(long, requires = "user", conflicts_with_all = ["roles", "groups", "claims"])]
    store_user: bool,
    /// The hub that it opens [default: hubs.default]
    #[arg(long, value_parser = HubName::parse)]
    hub: Option<HubName>,
    /// A right, such as webpubsub.sendToGroup or webpubsub.joinLeaveGroup.GROUP; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// A group to be put into at connect; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// User data, such as department=Sales; the value is JSON, or else a text; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// How long it is good
    #[arg(long, default_value = "1h", value_parser = expiry)]
    expires: Duration,
    /// For the HTTP API instead: for requests to exactly URL, with all rights; without URL for all that the roles of the
    /// store's USER open there
    #[arg(long, value_name = "URL", num_args = 0..=1, conflicts_with_all = ["hub", "store_user", "roles", "groups", "claims"])]
    api: Option<Option<String>>,
    /// The URL under which clients reach the server [default: the first of server.public_urls, or the listener]
    #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
    endpoint: Option<BaseUrl>,
    /// Print {"token", "url", "expiresAt"} as JSON, with the URL to connect to
    #[arg(long)]
    json: bool,
}

fn expiry(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).ok_or("a duration such as 30s, 5m, 1h or 7d is wanted")?;
    if span < Duration::from_secs(1) { Err("at least a second is wanted".to_owned()) } else { Ok(span) }
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("a claim is written as NAME=VALUE")?;
    if name.is_empty() || name.starts_with("folkmoot.") || OWN_CLAIMS.contains(&name) {
        return Err(format!("the claim '{name}' cannot be chosen"));
    }
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

impl NewArgs {
    pub(super) fn run(&self, config: &Config) -> anyhow::Result<()> {
        let tokens = Tokens::new(&place::access_keys(config)?, config.auth.clock_skew);
        let now = SystemTime::now();
        let (issued, url) = match &self.api {
            Some(url) => {
                let (claims, url) = self.api_claims(url.as_deref(), config)?;
                (tokens.issue(claims, self.expires, now)?, url)
            }
            None => {
                let (base, hub) = (self.base(config)?, self.hub.as_ref().unwrap_or(&config.hubs.default));
                let issued = tokens.issue(self.client_claims(&base, hub, config)?, self.expires, now)?;
                let url = audience::client_url(&base, hub, &issued.token);
                (issued, url)
            }
        };
        let out = &mut io::stdout();
        if self.json {
            writeln!(
                out,
                "{}",
                json!({ "token": issued.token, "url": url, "expiresAt": clock::seconds(issued.expires_at) })
            )?;
        } else {
            writeln!(out, "{}", issued.token)?;
        }
        Ok(())
    }

    fn base(&self, config: &Config) -> anyhow::Result<BaseUrl> {
        self.endpoint.clone().map_or_else(|| place::public_url(config), Ok)
    }

    fn client_claims(&self, base: &BaseUrl, hub: &HubName, config: &Config) -> anyhow::Result<Map<String, Value>> {
        if hub.is_reserved() && !self.store_user {
            bail!("the hub '{hub}' is entered by users of the store with an admin role only: add --store-user");
        }
        let masks = config.hubs.hub(hub).masks;
        for group in &self.groups {
            GroupName::parse(group, masks).map_err(|error| anyhow::anyhow!("--group '{group}': {error}"))?;
        }
        let mut claims: Map<String, Value> = self.claims.iter().cloned().collect();
        claims.insert("aud".into(), audience::of_client(base, hub).into());
        self.add_user(&mut claims, self.store_user);
        if !self.roles.is_empty() {
            claims.insert("role".into(), self.roles.iter().map(Role::to_string).collect());
        }
        if !self.groups.is_empty() {
            claims.insert("webpubsub.group".into(), self.groups.clone().into());
        }
        Ok(claims)
    }

    /// The claims, and where they open something.
    fn api_claims(&self, url: Option<&str>, config: &Config) -> anyhow::Result<(Map<String, Value>, String)> {
        let url = match (url, &self.user) {
            (Some(url), _) if BaseUrl::parse(url.split(['?', '#']).next().unwrap_or_default()).is_err() => {
                bail!("--api wants the URL of a request, such as http://127.0.0.1:8080/api/hubs");
            }
            (Some(url), _) => url.to_owned(),
            (None, Some(_)) => format!("{}/api", self.base(config)?),
            (None, None) => bail!(
                "--api wants the URL of the request that the token is for, or --user with a user of the store who has \
                 the role folkmoot.admin or folkmoot.admin.read"
            ),
        };
        let mut claims = Map::new();
        claims.insert("aud".into(), url.as_str().into());
        self.add_user(&mut claims, true);
        Ok((claims, url))
    }

    fn add_user(&self, claims: &mut Map<String, Value>, of_store: bool) {
        let Some(user) = &self.user else { return };
        claims.insert("sub".into(), user.as_str().into());
        if of_store {
            claims.insert(STORE_USER_CLAIM.into(), true.into());
        }
    }
}
