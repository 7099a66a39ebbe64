//! What a request to `/auth/token` or `/negotiate` asks for: by which credential, a token for what, and whether it will
//! come again.

use actix_web::HttpRequest;
use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use zeroize::Zeroizing;

use crate::auth::Credential;
use crate::auth::basic::BasicCredentials;
use crate::http::Problem;

/// A request to `/auth/token` that can be understood.
pub(super) struct Asked {
    pub(super) by: By,
    pub(super) what: For,
    /// Whether a refresh token is wanted too.
    pub(super) refresh: bool,
}

/// What is shown for it.
pub(super) enum By {
    Password(BasicCredentials),
    /// A refresh token, not verified yet.
    Refresh(String),
}

/// What the token is to be good for.
pub(super) enum For {
    /// The hub of this name, or the default hub.
    Hub(Option<String>),
    Api,
}

/// The fields of query and form; those of the form count.
#[derive(Default)]
struct Fields {
    hub: Option<String>,
    audience: Option<String>,
    refresh: Option<String>,
    login: Option<String>,
    password: Option<Zeroizing<String>>,
}

impl Asked {
    /// Reads what a header, the query and the form say. A password is read from header and form only, and a refresh
    /// token from the header only: what stands in a URL ends in logs.
    pub(super) fn read(request: &HttpRequest, credential: Credential, body: &Bytes) -> Result<Self, Problem> {
        let mut fields = Fields::default();
        for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
            if name != "login" && name != "password" {
                fields.set(&name, &value);
            }
        }
        // The body of a GET means nothing, whatever it says.
        let has_form = request.method() == Method::POST && is_form(request) && !body.is_empty();
        if has_form {
            for (name, value) in url::form_urlencoded::parse(body) {
                fields.set(&name, &value);
            }
        }
        // A header that is there and wrong is refused, and the form is not asked for another login.
        let by = match credential {
            Credential::Basic(basic) => By::Password(basic),
            Credential::Token(token) => By::Refresh(token),
            Credential::Anonymous => By::Password(fields.login(has_form)?),
        };
        let what = match (fields.audience.as_deref(), fields.hub) {
            (None, hub) => For::Hub(hub),
            (Some("api"), None) => For::Api,
            (Some("api"), Some(_)) => {
                return Err(Problem::bad_request("A token is for a 'hub' or for 'audience=api'; ask twice for both."));
            }
            _ => return Err(Problem::bad_request("'audience' is 'api', or not there for the token of a hub.")),
        };
        let refresh = match fields.refresh.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::bad_request("'refresh' is true or false.")),
        };
        Ok(Asked { by, what, refresh })
    }
}

impl Fields {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "hub" => self.hub = Some(value.to_owned()),
            "audience" => self.audience = Some(value.to_owned()),
            "refresh" => self.refresh = Some(value.to_owned()),
            "login" => self.login = Some(value.to_owned()),
            "password" => self.password = Some(Zeroizing::new(value.to_owned())),
            _ => {}
        }
    }

    fn login(&self, has_form: bool) -> Result<BasicCredentials, Problem> {
        if !has_form {
            return Err(Problem::unauthorized("Send HTTP Basic, or POST a form with 'login' and 'password'."));
        }
        let (Some(login), Some(password)) = (&self.login, &self.password) else {
            return Err(Problem::unauthorized("The form needs 'login' and 'password'."));
        };
        BasicCredentials::new(login, password).map_err(|error| Problem::unauthorized(error.to_string()))
    }
}

fn is_form(request: &HttpRequest) -> bool {
    let form = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    form.is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}
