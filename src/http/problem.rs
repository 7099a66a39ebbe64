//! Refusals as HTTP answers: a status, and a problem document (RFC 9457) with a sentence for a person.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::auth::CredentialError;
use crate::auth::basic::BASIC_CHALLENGE;
use crate::auth::origin::OriginError;
use crate::auth::token::TokenError;
use crate::groups::EnterError;
use crate::users::LoginError;

/// Why a request was refused.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// What was wrong, and what to do.
    pub detail: Cow<'static, str>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The way to log in that a 401 names.
    challenge: &'static str,
}

const BEARER_CHALLENGE: &str = "Bearer";

impl Problem {
    /// A problem with its sentence.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem { status, detail: detail.into(), retry_after: None, challenge: BASIC_CHALLENGE }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, which names the way to log in.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// The same where only a token opens anything: nobody is to be asked for a password.
    pub(crate) fn with_bearer_challenge(self) -> Self {
        Problem { challenge: BEARER_CHALLENGE, ..self }
    }

    /// 403.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// 429: too much of it by this client.
    pub fn too_many(detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = Some(Duration::from_secs(2));
        Problem { retry_after, ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503: not now, but soon.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = Some(Duration::from_secs(2));
        Problem { retry_after, ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The header lines besides the content type.
    pub fn headers(&self) -> Vec<(header::HeaderName, String)> {
        let mut headers = Vec::new();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.push((header::WWW_AUTHENTICATE, self.challenge.to_owned()));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.push((header::ALLOW, "GET".to_owned()));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.push((header::SEC_WEBSOCKET_VERSION, "13".to_owned()));
        }
        if let Some(after) = self.retry_after {
            headers.push((header::RETRY_AFTER, after.as_secs().max(1).to_string()));
        }
        headers
    }

    /// The body: an `application/problem+json` document.
    pub fn body(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail }).to_string()
    }
}

/// The media type of [`Problem::body`].
pub const PROBLEM_JSON: &str = "application/problem+json";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in self.headers() {
            response.insert_header(header);
        }
        response.content_type(PROBLEM_JSON).body(self.body())
    }
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        Problem::unauthorized(error.to_string())
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NoKeysYet => Problem::unavailable(error.to_string()),
            _ => Problem::new(error.status(), error.to_string()),
        }
    }
}

impl From<OriginError> for Problem {
    fn from(error: OriginError) -> Self {
        Problem::new(error.status(), error.to_string())
    }
}

impl From<EnterError> for Problem {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::NotDeclared => Problem::not_found("There is no such hub."),
            EnterError::TooMany => Problem::unavailable("There are too many hubs; try again later."),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Denied => Problem::unauthorized("The login or the password is wrong."),
            LoginError::Busy => Problem::unavailable("Too many logins at once; try again in a moment."),
            LoginError::Throttled { retry_after } => Problem {
                retry_after: Some(retry_after),
                ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many failed logins; try again later.")
            },
            LoginError::Unavailable(_) => Problem::unavailable("The user store does not answer; try again later."),
        }
    }
}
