//! Who may use what is for operators: the HTTP API, the data of the dashboard, `/metrics`.
//!
//! Two kinds of tokens open it: one that an access key signed for the very request (`aud` is its URL), which may do
//! everything there, and that of a store user (`/auth/token` with `audience=api`), who is looked up with each request
//! and may do what their `folkmoot.admin…` roles say now. Client tokens, passwords and tokens of others never do.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::HttpRequest;
use actix_web::http::Method;

use super::{Entrance, Problem, Services};
use crate::auth::Credential;
use crate::auth::origin::CredentialKind;
use crate::auth::peer::ClientAddress;
use crate::auth::permissions::Role;
use crate::auth::token::TokenError;
use crate::user::UserData;
use crate::users::UserRecord;

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look at everything.
    Read,
    /// Everything.
    All,
}

impl Access {
    /// Of a store user: only roles that count in all hubs, as the API is about all of them.
    fn of_user(user: &UserRecord) -> Option<Self> {
        let everywhere = user.roles.iter().filter(|role| role.hub.is_none());
        let mut access = None;
        for role in everywhere {
            match role.role {
                Role::Admin => return Some(Access::All),
                Role::AdminRead => access = Some(Access::Read),
                _ => {}
            }
        }
        access
    }

    fn allows(self, method: &Method) -> bool {
        self == Access::All || matches!(*method, Method::GET | Method::HEAD)
    }
}

/// Whether a store user may use the API at all.
pub fn may_use_api(user: &UserRecord) -> bool {
    Access::of_user(user).is_some()
}

/// Lets a request of an operator pass, or refuses it.
///
/// # Errors
/// 401 (with `WWW-Authenticate: Bearer`) for a missing or wrong token, 403 for a user without the role, or for a page
/// of another site; 503 while the store does not answer.
pub async fn check<U: UserData>(services: &Arc<Services<U>>, request: &HttpRequest) -> Result<Access, Problem> {
    let client = services.client_of(request);
    let live = services.live.load_full();
    let origins = live.origins_of(Entrance::of(request));
    origins.check_host(request.headers())?;
    origins.check_origin(request.headers(), &client, CredentialKind::Ambient)?;
    let wrong = |problem: Problem| {
        services.metrics.auth_failures.increment(1);
        problem.with_bearer_challenge()
    };
    let token = match Credential::of_request(request.headers(), None) {
        Ok(Credential::Token(token)) => token,
        Ok(Credential::Anonymous) => {
            return Err(Problem::unauthorized("This needs a token: 'Authorization: Bearer …'.").with_bearer_challenge());
        }
        Ok(Credential::Basic(_)) => {
            let by_token = "A password opens nothing here; POST /auth/token with audience=api gives a token for it.";
            return Err(wrong(Problem::unauthorized(by_token)));
        }
        Err(error) => return Err(wrong(error.into())),
    };
    let names = live.own_names(&client);
    let verified = live.tokens.verify_request(&token, request.path(), names, SystemTime::now());
    let token = verified.map_err(|error| {
        log::info!(address:% = client.address(), reason:% = error; "a token for the HTTP API was refused");
        wrong(explained(error))
    })?;
    let access = match (token.store_user, token.sub) {
        (true, Some(login)) => {
            let user = services.store_user(login, &client).await.map_err(Problem::with_bearer_challenge)?;
            Access::of_user(&user)
        }
        _ => Some(Access::All),
    };
    match access {
        Some(access) if access.allows(request.method()) => Ok(access),
        Some(_) => Err(Problem::forbidden("This takes the role folkmoot.admin; yours is folkmoot.admin.read.")),
        None => Err(Problem::forbidden("This takes the role folkmoot.admin or folkmoot.admin.read.")),
    }
}

/// Like [`check`], but who asks on this machine itself, or on the internal listener, needs no token: `/metrics` and the
/// details of `/ready`.
///
/// # Errors
/// As for [`check`].
pub async fn check_read<U: UserData>(services: &Arc<Services<U>>, request: &HttpRequest) -> Result<(), Problem> {
    // Nor does a page whose name was made to mean this machine (DNS rebinding).
    let entrance = Entrance::of(request);
    services.now().origins_of(entrance).check_host(request.headers())?;
    if entrance == Entrance::Internal || is_local(&services.client_of(request)) {
        return Ok(());
    }
    check(services, request).await.map(|_| ())
}

fn is_local(client: &ClientAddress) -> bool {
    client.is_direct_loopback()
}

fn explained(error: TokenError) -> Problem {
    match error {
        TokenError::Audience => Problem::unauthorized(
            "The token is not meant for this request (claim 'aud'): it is this URL, or that of a user's token {url}/api.",
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    fn access(roles: &[&str]) -> Option<Access> {
        let mut user = UserRecord::new(UserId::parse("mark").unwrap());
        user.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Access::of_user(&user)
    }

    #[test]
    fn only_admin_roles_that_count_in_all_hubs_open_the_api() {
        assert_eq!(access(&["webpubsub.sendToGroup", "folkmoot.admin"]), Some(Access::All));
        assert_eq!(access(&["folkmoot.admin.read"]), Some(Access::Read));
        assert_eq!(access(&["folkmoot.admin.read", "folkmoot.admin"]), Some(Access::All));
        assert_eq!(access(&["chat:folkmoot.admin", "chat:folkmoot.admin.read"]), None);
        assert_eq!(access(&["webpubsub.sendToGroup", "folkmoot.listMembers", "folkmoot.listGroups"]), None);
    }

    #[test]
    fn reading_is_get_and_head_and_nothing_else() {
        for method in [Method::GET, Method::HEAD] {
            assert!(Access::Read.allows(&method) && Access::All.allows(&method));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            assert!(!Access::Read.allows(&method) && Access::All.allows(&method));
        }
    }
}
