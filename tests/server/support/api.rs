//! Requests to the HTTP API, with the tokens that open it.

use folkmoot::UserData;
use serde_json::Value;

use super::token::Token;
use super::{Answer, PASSWORD, TestServer, basic};

/// The media type of a JSON message.
pub const JSON: (&str, &str) = ("Content-Type", "application/json");
/// The media type of a text message.
pub const TEXT: (&str, &str) = ("Content-Type", "text/plain");

impl<U: UserData> TestServer<U> {
    /// A token that the access key signed for one path of the API, query and all.
    pub fn api_token(&self, path: &str) -> Token {
        Token::new(&format!("http://{}{path}", self.address))
    }

    /// Asks the API as a back end does, with a token for this very request.
    pub async fn api(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.api_as(&self.api_token(path).to_string(), method, path, headers, body).await
    }

    /// Asks the API with some token.
    pub async fn api_as(&self, token: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.http(method, path, &[&[("Authorization", bearer.as_str())], headers].concat(), body).await
    }

    /// What the API tells of a path.
    pub async fn api_get(&self, path: &str) -> Value {
        let answer = self.api("GET", path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// The token for the API of a user of [`Setup::user`](super::Setup::user).
    pub async fn operator(&self, login: &str) -> String {
        let login = basic(login, PASSWORD);
        let answer = self.http("POST", "/auth/token?audience=api", &[("Authorization", &login)], "").await;
        answer.json()["token"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    }
}
