//! Refusals of the HTTP API: the same as elsewhere, in the words of the Web PubSub REST API.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};

use super::answers::Error;
use crate::http::Problem;
use crate::ids::NameError;

/// The header that repeats the code, for answers without a body.
pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Why the API did not do what it was asked.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: &'static str,
    problem: Problem,
}

impl ApiError {
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::bad_request(detail).into()
    }

    pub(super) fn no_connection() -> Self {
        let problem = Problem::not_found("There is no such connection.");
        ApiError { code: "Error.Connection.NotExisted", problem }
    }

    /// As the Web PubSub REST API has it of permissions, unlike elsewhere.
    pub(super) fn no_connection_to_permit() -> Self {
        ApiError { code: "Info.Connection.NotExisted", ..ApiError::no_connection() }
    }

    pub(super) fn no_permission() -> Self {
        ApiError { code: "Error.Permission.NotExisted", problem: Problem::not_found("The connection may not do this.") }
    }

    pub(super) fn conflict_of_connection(detail: impl Into<Cow<'static, str>>) -> Self {
        ApiError { code: "Error.Connection.Conflict", problem: Problem::new(StatusCode::CONFLICT, detail) }
    }

    pub(super) fn no_user() -> Self {
        ApiError { code: "Error.User.NotExisted", problem: Problem::not_found("The user has no connection.") }
    }

    pub(super) fn no_group(detail: impl Into<Cow<'static, str>>) -> Self {
        ApiError { code: "Error.Group.NotExisted", problem: Problem::not_found(detail) }
    }

    pub(super) fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.problem.status);
        for header in self.problem.headers() {
            response.insert_header(header);
        }
        response.insert_header((ERROR_CODE, HeaderValue::from_static(self.code)));
        response.json(Error { code: self.code, message: sentence(&self.problem.detail) })
    }
}

/// A text with a capital at its beginning and a full stop at its end: errors of other layers stand in sentences.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    let end = if text.ends_with(['.', '…', '!']) { "" } else { "." };
    first.chain(rest).chain(end.chars()).collect()
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            StatusCode::BAD_REQUEST => "Error.BadRequest",
            StatusCode::UNAUTHORIZED => "Error.Unauthorized",
            StatusCode::FORBIDDEN => "Error.Forbidden",
            StatusCode::NOT_FOUND => "Error.NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "Error.MethodNotAllowed",
            StatusCode::REQUEST_TIMEOUT => "Error.RequestTimeout",
            StatusCode::CONFLICT => "Error.Conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "Error.PayloadTooLarge",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "Error.UnsupportedMediaType",
            StatusCode::UNPROCESSABLE_ENTITY => "Error.UnprocessableEntity",
            StatusCode::TOO_MANY_REQUESTS => "Error.TooManyRequests",
            StatusCode::SERVICE_UNAVAILABLE => "Error.ServiceUnavailable",
            _ => "Error.InternalServerError",
        };
        ApiError { code, problem }
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        ApiError::bad_request(error.to_string())
    }
}
