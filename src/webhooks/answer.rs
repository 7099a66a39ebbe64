//! What a webhook answers, and what of it can be used.

use actix_web::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;

use crate::auth::permissions::Role;
use crate::ids::{GroupName, UserId};
use crate::protocol::{Data, DataError, DataType};

/// An answer with any status.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its media type, where it says one.
    pub content_type: Option<String>,
    /// The state to be kept with the connection, where it sets one.
    pub state: Option<String>,
    /// Its body.
    pub body: Bytes,
}

/// An answer that says yes, and something that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The body of an answer to `connect`.
    #[error("its body is not JSON with userId, groups, roles and subprotocol")]
    Json,
    /// A name that is none.
    #[error("its {0} is not valid")]
    Name(&'static str),
    /// A subprotocol that the client would not understand.
    #[error("its subprotocol is none that the client offers")]
    Subprotocol,
    /// A message of a type that clients are not sent.
    #[error("its Content-Type is none of text/plain, application/json and application/octet-stream, in UTF-8")]
    Type,
    /// A body that is not what it says.
    #[error("its body is not what its Content-Type says: {0}")]
    Data(#[from] DataError),
    /// A state beyond `webhooks.max_state_bytes`.
    #[error("its ce-connectionState has more than webhooks.max_state_bytes")]
    State,
}

/// What the application wants of a connection that it lets in.
#[derive(Debug, Default, PartialEq)]
pub struct Wishes {
    /// Who it is; `None` as authenticated.
    pub user_id: Option<UserId>,
    /// What it may do; `None` as authenticated.
    pub roles: Option<Vec<Role>>,
    /// The groups that it is put into; `None` as authenticated.
    pub groups: Option<Vec<GroupName>>,
    /// The subprotocol to speak; `None` as negotiated.
    pub subprotocol: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConnectBody {
    user_id: Option<String>,
    roles: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    subprotocol: Option<String>,
}

impl Answer {
    /// Reads an answer to `connect`, in a hub with masks or without.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn wishes(&self, masks: bool) -> Result<Wishes, Unusable> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Wishes::default());
        }
        let body: Option<ConnectBody> = serde_json::from_slice(&self.body).map_err(|_| Unusable::Json)?;
        let Some(body) = body else { return Ok(Wishes::default()) };
        // As everywhere in the protocol, an empty text is no user and no subprotocol.
        let user_id = body.user_id.filter(|id| !id.is_empty()).map(|id| UserId::parse(&id)).transpose();
        // As with those of a token: one that is not known here grants nothing.
        let roles = body.roles.map(|roles| roles.iter().filter_map(|role| role.parse().ok()).collect());
        let groups = body.groups.filter(|groups| !groups.is_empty());
        let groups = groups.map(|groups| groups.iter().map(|name| GroupName::parse(name, masks)).collect());
        Ok(Wishes {
            user_id: user_id.map_err(|_| Unusable::Name("userId"))?,
            roles,
            groups: groups.transpose().map_err(|_| Unusable::Name("list of groups"))?,
            subprotocol: body.subprotocol.filter(|name| !name.is_empty()),
        })
    }

    /// Reads the message to the client out of an answer to an event; `None` where there is none.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn message(&self, max_json_depth: usize) -> Result<Option<Data>, Unusable> {
        if self.body.is_empty() {
            return Ok(None);
        }
        let data_type = match &self.content_type {
            Some(line) => data_type(line).ok_or(Unusable::Type)?,
            None => DataType::Binary,
        };
        Ok(Some(Data::from_payload(data_type, self.body.clone(), max_json_depth)?))
    }
}

fn data_type(line: &str) -> Option<DataType> {
    if line.trim().is_empty() {
        return Some(DataType::Binary);
    }
    let (data_type, charset) = DataType::by_content_type(line)?;
    let is_utf8 = |charset: &str| ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    charset.is_none_or(is_utf8).then_some(data_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: Option<&str>, body: &'static str) -> Answer {
        let content_type = content_type.map(str::to_owned);
        Answer { status: StatusCode::OK, content_type, state: None, body: Bytes::from_static(body.as_bytes()) }
    }

    fn wishes(body: &'static str) -> Result<Wishes, Unusable> {
        answer(None, body).wishes(true)
    }

    #[test]
    fn an_empty_answer_changes_nothing() {
        for body in ["", " \n", "{}", "null", r#"{"userId":null,"groups":[],"subprotocol":""}"#, r#"{"more":1}"#] {
            assert_eq!(wishes(body), Ok(Wishes::default()), "{body}");
        }
    }

    #[test]
    fn an_answer_names_user_groups_roles_and_subprotocol() {
        let body =
            r#"{"userId":"ann","groups":["a","b/c"],"roles":["webpubsub.sendToGroup","unknown"],"subprotocol":"x"}"#;
        let wishes = wishes(body).unwrap();
        assert_eq!(wishes.user_id.unwrap().as_str(), "ann");
        assert_eq!(wishes.groups.unwrap().len(), 2);
        assert_eq!(wishes.roles, Some(vec![Role::SendToGroup(None)]));
        assert_eq!(wishes.subprotocol.as_deref(), Some("x"));
    }

    #[test]
    fn an_empty_list_of_roles_takes_them_away_and_one_of_groups_does_not() {
        let wishes = wishes(r#"{"roles":[],"groups":[]}"#).unwrap();
        assert_eq!((wishes.roles, wishes.groups), (Some(Vec::new()), None));
    }

    #[test]
    fn what_cannot_be_meant_is_unusable() {
        assert_eq!(wishes("OK"), Err(Unusable::Json));
        assert_eq!(wishes(r#"{"groups":"a"}"#), Err(Unusable::Json));
        assert_eq!(wishes(r#"{"userId":"a\u0000"}"#), Err(Unusable::Name("userId")));
        assert_eq!(wishes(r#"{"groups":["a*"]}"#), Err(Unusable::Name("list of groups")));
    }

    #[test]
    fn the_body_is_a_message_of_the_type_that_it_says() {
        let message = |content_type, body| answer(content_type, body).message(64);
        assert_eq!(message(Some("text/plain; charset=utf-8"), ""), Ok(None));
        assert_eq!(message(Some("Text/Plain; charset=utf-8"), "hi"), Ok(Some(Data::text("hi"))));
        assert_eq!(message(Some("application/json"), "{}"), Ok(Some(Data::json(&serde_json::json!({})))));
        assert_eq!(message(None, "hi"), Ok(Some(Data::binary("hi"))));
        assert_eq!(message(Some("application/json"), "OK"), Err(Unusable::Data(DataError::NotJson)));
        assert_eq!(message(Some("text/html"), "<p>"), Err(Unusable::Type));
        assert_eq!(message(Some("text/plain; charset=latin1"), "x"), Err(Unusable::Type));
    }
}
