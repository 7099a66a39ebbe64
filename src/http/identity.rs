//! From a credential to a user: by token, by password, by the caller's hook, or nobody in particular.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use super::handshake::Handshake;
use super::{Live, Problem, Services};
use crate::auth::Credential;
use crate::auth::basic::BasicCredentials;
use crate::auth::issuer::Presented;
use crate::auth::origin::CredentialKind;
use crate::auth::peer::ClientAddress;
use crate::auth::permissions::Role;
use crate::auth::token::{TokenError, user_from_claims};
use crate::config::HubConfig;
use crate::event::Authority;
use crate::hooks::{Authentication, Identity, LoginAttempt};
use crate::ids::{GroupName, HubName, NameError, UserId};
use crate::issuers::Issuer;
use crate::user::{User, UserData};
use crate::users::{LoginError, UserRecord};

/// Who somebody is, before the hub has its say.
pub struct Known<U> {
    /// Who knows them.
    pub authority: Authority,
    /// The user id.
    pub user_id: Option<UserId>,
    /// Their data.
    pub user: Option<Arc<U>>,
    /// What they may do.
    pub roles: Vec<Role>,
    /// The groups that they are put into.
    pub groups: Vec<GroupName>,
    /// When their token expires.
    pub expires_at: Option<SystemTime>,
}

/// Somebody at the door of a hub.
pub struct Visitor<'a, U: UserData> {
    /// What every worker shares.
    pub services: &'a Arc<Services<U>>,
    /// What the server goes by, for this handshake from its beginning to its end.
    pub live: &'a Live,
    /// The hub.
    pub hub: &'a HubName,
    /// Where they come from.
    pub client: &'a ClientAddress,
}

impl<U: UserData> Visitor<'_, U> {
    fn settings(&self) -> &HubConfig {
        self.live.config.hubs.hub(self.hub)
    }

    /// From the credential to a user. One that is there and wrong never falls through to the next kind.
    ///
    /// # Errors
    /// The [`Problem`] that the client is answered.
    pub async fn identify(&self, handshake: Handshake<'_>) -> Result<Known<U>, Problem> {
        let credential = Credential::of_request(handshake.headers, handshake.query).inspect_err(|_| {
            self.services.metrics.auth_failures.increment(1);
        })?;
        let kind = match credential {
            Credential::Token(_) => CredentialKind::Explicit,
            Credential::Basic(_) | Credential::Anonymous => CredentialKind::Ambient,
        };
        self.live.origins_of(handshake.entrance).check_origin(handshake.headers, self.client, kind)?;
        match credential {
            Credential::Token(token) => self.by_token(&token).await,
            Credential::Basic(basic) => match log_in(self.services, basic, self.hub, self.client).await? {
                LoggedIn::Store(record) => self.of_record(*record),
                LoggedIn::Hook(identity) => Ok(self.of_identity(identity)),
            },
            Credential::Anonymous if self.settings().anonymous => {
                let (authority, roles, groups) = (Authority::Anonymous, Vec::new(), Vec::new());
                Ok(Known { authority, user_id: None, user: None, roles, groups, expires_at: None })
            }
            Credential::Anonymous => Err(Problem::unauthorized("Log in, or bring a token.")),
        }
    }

    async fn by_token(&self, token: &str) -> Result<Known<U>, Problem> {
        match self.live.issuers.of(token) {
            Ok(None) => self.by_own_token(token).await,
            Ok(Some((issuer, presented))) => self.by_foreign_token(issuer, &presented).await,
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Counts and logs a token that was refused.
    fn refused(&self, error: TokenError) -> Problem {
        // Where the fault is with the issuer or with us, nobody tried anything.
        if !error.status().is_server_error() {
            self.services.metrics.auth_failures.increment(1);
        }
        log::info!(address:% = self.client.address(), reason:% = error; "a token was refused");
        error.into()
    }

    /// Of another issuer, who never makes a user of the store, and opens no hub of Folkmoot's own.
    async fn by_foreign_token(&self, issuer: &Issuer, presented: &Presented<'_>) -> Result<Known<U>, Problem> {
        let settings = self.settings();
        let verified = issuer.verify(presented, settings.masks).await;
        let token = verified.map_err(|error| self.refused(error))?;
        if self.hub.is_reserved() || !issuer.hubs.allows(self.hub, &self.live.config.hubs.default) {
            return Err(Problem::forbidden("Tokens of this issuer do not open this hub."));
        }
        let ruled = ruled_groups(&token.user, Some(&token.user_id), settings);
        let ruled = ruled.map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(Known {
            authority: Authority::Token,
            groups: ruled.into_iter().chain(token.groups).collect(),
            user: (self.services.map_user)(token.user).map(Arc::new),
            user_id: Some(token.user_id),
            roles: token.roles,
            expires_at: Some(token.expires_at),
        })
    }

    async fn by_own_token(&self, token: &str) -> Result<Known<U>, Problem> {
        let Visitor { services, live, hub, client } = *self;
        let settings = self.settings();
        let names = live.own_names(client);
        let verified = live.tokens.verify_client(token, hub, settings.masks, names, SystemTime::now());
        let token = verified.map_err(|error| self.refused(error))?;
        let expires_at = Some(token.expires_at);
        if let (true, Some(login)) = (token.store_user, token.sub.clone()) {
            let record = services.store_user(login, client).await?;
            return Ok(Known { expires_at, ..self.of_record(record)? });
        }
        let user = user_from_claims(&token.claims, token.sub.as_ref());
        let ruled = ruled_groups(&user, token.sub.as_ref(), settings);
        let ruled = ruled.map_err(|error| Problem::bad_request(error.to_string()))?;
        let groups = ruled.into_iter().chain(token.groups).collect();
        let user = (services.map_user)(user).map(Arc::new);
        Ok(Known { authority: Authority::Token, user_id: token.sub, user, roles: token.roles, groups, expires_at })
    }

    fn of_identity(&self, identity: Identity<U>) -> Known<U> {
        let (hub, settings) = (self.hub, self.settings());
        let Identity { user_id, user, mut roles, groups } = identity;
        roles.extend_from_slice(self.live.config.hubs.default_roles(hub));
        let ruled = rendered(settings, user_id.as_ref(), |name| user.as_ref()?.field(name));
        let ruled = ruled.into_iter().filter_map(|name| match GroupName::parse(&name, settings.masks) {
            Ok(group) => Some(group),
            Err(error) => {
                log::warn!(hub:%, reason:% = error; "a join rule gave no valid group name");
                None
            }
        });
        let groups = ruled.chain(groups).collect();
        Known { authority: Authority::Hook, user_id, user, roles, groups, expires_at: None }
    }

    fn of_record(&self, record: UserRecord) -> Result<Known<U>, Problem> {
        let (hub, hubs, settings) = (self.hub, &self.live.config.hubs, self.settings());
        // A reserved hub is entered by a role, which was given to the user by name.
        if !hub.is_reserved() && !record.hubs.allows(hub, &hubs.default) {
            return Err(Problem::forbidden("This user may not enter this hub."));
        }
        let own = record.roles.iter().filter(|role| role.counts_in(hub)).map(|role| role.role.clone());
        let roles = hubs.default_roles(hub).iter().cloned().chain(own).collect();
        let user = record.user();
        // Checked when it was stored; a hub whose masks setting was changed since is the one way to get here.
        let mut groups = ruled_groups(&user, Some(&record.login), settings).unwrap_or_else(|error| {
            log::warn!("user.id":% = record.login, hub:%, reason:% = error; "a join rule gave no valid group name");
            Vec::new()
        });
        if settings.user_groups {
            groups.extend(record.groups);
        }
        let user = (self.services.map_user)(user).map(Arc::new);
        Ok(Known { authority: Authority::Store, user_id: Some(record.login), user, roles, groups, expires_at: None })
    }
}

/// Who knows somebody that has logged in.
pub enum LoggedIn<U> {
    /// The user store.
    Store(Box<UserRecord>),
    /// The caller's hook.
    Hook(Identity<U>),
}

/// Asks the caller's hook, and where that is undecided the user store, about a login and its password.
///
/// # Errors
/// The [`Problem`] that the client is answered.
pub async fn log_in<U: UserData>(
    services: &Arc<Services<U>>,
    basic: BasicCredentials,
    hub: &HubName,
    client: &ClientAddress,
) -> Result<LoggedIn<U>, Problem> {
    let BasicCredentials { login, mut password } = basic;
    if let Some(hooks) = &services.hooks {
        let attempt =
            LoginAttempt { hub: hub.clone(), login: login.clone(), password, address: Some(client.address()) };
        let unavailable = |_| Problem::unavailable("The login could not be checked; try again in a moment.");
        let (answer, attempt) = hooks.authenticate(attempt).await.map_err(unavailable)?;
        let verdict = match answer {
            Authentication::Undecided => None,
            Authentication::Accepted(identity) => Some(Ok(identity)),
            Authentication::Denied => Some(Err(LoginError::Denied)),
        };
        match verdict {
            None => password = attempt.password,
            Some(verdict) => return services.limited(&login, client, verdict).map(LoggedIn::Hook),
        }
    }
    let record = services.log_in(&login, password, client).await?;
    Ok(LoggedIn::Store(Box::new(record)))
}

/// Whether the roles of a store user lead into a reserved hub.
pub fn may_enter_reserved(user: &UserRecord, hub: &HubName) -> bool {
    user.roles.iter().filter(|role| role.counts_in(hub)).any(|role| role.role.is_for_operators())
}

/// The groups that the hub's join rules make of a user's data; empty values are skipped.
fn ruled_groups(user: &User, user_id: Option<&UserId>, config: &HubConfig) -> Result<Vec<GroupName>, NameError> {
    rendered(config, user_id, |name| user.field(name)).iter().map(|name| GroupName::parse(name, config.masks)).collect()
}

fn rendered<'a>(
    config: &HubConfig,
    user_id: Option<&'a UserId>,
    field: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Vec<String> {
    let field = |name: &str| match name {
        "userId" => user_id.map(|id| Cow::Borrowed(id.as_str())),
        _ => field(name),
    };
    let values = config.join.iter().filter_map(|rule| rule.render(field));
    values.filter(|value| !value.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_rule_may_name_the_user_id_whatever_the_user_data() {
        let join = ["inbox/{userId}", "{department}", "team/{data.team}"].map(|rule| rule.parse().unwrap()).into();
        let config = HubConfig { join, ..HubConfig::default() };
        let user = User { department: Some("Sales".into()), ..User::default() };
        let names = |user_id: Option<&UserId>| {
            let groups = ruled_groups(&user, user_id, &config).unwrap();
            groups.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(Some(&UserId::parse("mark").unwrap())), ["inbox/mark", "Sales"]);
        assert_eq!(names(None), ["Sales"]);
    }
}
