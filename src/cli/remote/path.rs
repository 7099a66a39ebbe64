//! Paths of the HTTP API: names of any characters, in a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::auth::host::BaseUrl;
use crate::ids::HubName;

/// What is encoded in a name: everything but letters, digits and three marks. The dot too, as a group may be called `..`.
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A path of the HTTP API, and its query.
#[derive(Debug, Clone)]
pub(in crate::cli) struct ApiPath {
    path: String,
    query: String,
}

impl ApiPath {
    /// `/api/hubs/{hub}`.
    pub(in crate::cli) fn of_hub(hub: &HubName) -> Self {
        ApiPath { path: "/api/hubs".to_owned(), query: String::new() }.name(hub.as_str())
    }

    /// Goes on with a word of the API, such as `groups` or `:send`.
    pub(in crate::cli) fn word(mut self, word: &'static str) -> Self {
        self.path.push('/');
        self.path.push_str(word);
        self
    }

    /// Goes on with a name, whatever characters it has.
    pub(in crate::cli) fn name(mut self, name: &str) -> Self {
        self.path.push('/');
        self.path.extend(utf8_percent_encode(name, IN_SEGMENT));
        self
    }

    /// Adds a parameter.
    pub(in crate::cli) fn query(mut self, name: &str, value: &str) -> Self {
        let mut query = form_urlencoded::Serializer::for_suffix(self.query, 0);
        query.append_pair(name, value);
        self.query = query.finish();
        self
    }

    /// Adds a parameter where there is a value.
    pub(in crate::cli) fn query_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// The URL on a server, and the same without the query, which is what a token is for.
    pub(super) fn urls(&self, base: &BaseUrl) -> (String, String) {
        let audience = format!("{base}{}", self.path);
        let url = if self.query.is_empty() { audience.clone() } else { format!("{audience}?{}", self.query) };
        (url, audience)
    }
}

/// Where the next page begins, from the link to it.
pub(super) fn continuation_of(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "continuationToken").map(|(_, token)| token.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_characters_become_one_segment() {
        let base = BaseUrl::parse("https://example.com/base").unwrap();
        let path = ApiPath::of_hub(&HubName::parse("a.b").unwrap()).word("groups").name("../sales/é*?#%2F");
        let (url, audience) = path.query("mustExist", "true").query("excluded", "a&b").urls(&base);
        let expected = "https://example.com/base/api/hubs/a%2Eb/groups/%2E%2E%2Fsales%2F%C3%A9%2A%3F%23%252F";
        assert_eq!((url, audience), (format!("{expected}?mustExist=true&excluded=a%26b"), expected.to_owned()));
    }

    #[test]
    fn a_link_is_asked_for_its_token_only() {
        let link = "http://evil.example/api/hubs/a/groups?maxpagesize=2&continuationToken=a%2Fb%3D";
        assert_eq!(continuation_of(link).as_deref(), Some("a/b="));
        assert_eq!(continuation_of("http://a/api?x=1"), None);
        assert_eq!(continuation_of(""), None);
    }
}
