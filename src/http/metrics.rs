//! `GET /metrics`: what is counted, in the Prometheus text format.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::{HttpRequest, HttpResponse};

use super::{Entrance, Problem, Services};
use crate::auth::Credential;
use crate::user::UserData;

/// For operators: from this machine, or with a token that an access key signed for this URL.
pub(super) async fn metrics<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let client = services.client_of(&request);
    services.origins_of(Entrance::of(&request)).check_host(request.headers())?;
    if !services.may_read(Entrance::of(&request), &client) {
        let Credential::Token(token) = Credential::of_request(request.headers(), None)? else {
            return Err(Problem::unauthorized("Metrics need a token, or a request from this machine itself."));
        };
        let names = services.own_names(&client);
        let token = services.tokens.verify_request(&token, request.path(), names, SystemTime::now())?;
        if let (true, Some(login)) = (token.store_user, token.sub) {
            let record = services.store_user(login, &client).await?;
            let permissions: crate::auth::permissions::Permissions =
                record.roles.into_iter().filter(|role| role.hub.is_none()).map(|role| role.role).collect();
            if !permissions.may_read_admin() {
                return Err(Problem::forbidden("Metrics need the role folkmoot.admin.read."));
            }
        }
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(services.metrics.render()))
}
