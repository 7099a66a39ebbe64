//! What the query of an API request says, and the pages that lists are read by.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use url::form_urlencoded;

use super::ApiError;
use super::operations::Operation;
use super::parameters::{FILTER, TTL};
use crate::filter::{Filter, FilterError};
use crate::ids::ConnectionId;
use crate::protocol::MAX_TTL_SECONDS;

/// The versions of the Web PubSub REST API whose routes these are. Without one, the latest is meant.
pub(super) const API_VERSIONS: [&str; 5] = ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"];
/// What narrows an operation down, so that it must not be ignored where it has no meaning.
const NEVER_IGNORED: [&str; 3] = ["excluded", "filter", "messageTtlSeconds"];

/// The parameters of a query.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them, and refuses what cannot be heeded.
    pub(crate) fn read(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let query = Query(pairs);
        if let Some(version) = query.one("api-version")?
            && !API_VERSIONS.contains(&version)
        {
            let known = API_VERSIONS.join(", ");
            return Err(ApiError::bad_request(format!("'api-version' is one of {known}, or not there.")));
        }
        Ok(query)
    }

    /// Refuses what this operation would ignore although it must not be.
    pub(super) fn check_for(&self, operation: &Operation) -> Result<(), ApiError> {
        let ignored = |name: &&str| !operation.takes(name) && self.all(name).next().is_some();
        match NEVER_IGNORED.into_iter().find(ignored) {
            Some(name) => Err(ApiError::bad_request(format!("'{name}' has no meaning here."))),
            None => Ok(()),
        }
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next();
        match values.next() {
            Some(_) => Err(ApiError::bad_request(format!("'{name}' is there more than once."))),
            None => Ok(first),
        }
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.one(name)? {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(ApiError::bad_request(format!("'{name}' is true or false."))),
        }
    }

    /// The connections that are left out. What is no connection's id is nobody's.
    pub(super) fn excluded(&self) -> Vec<ConnectionId> {
        self.all("excluded").filter_map(|id| id.parse().ok()).collect()
    }

    /// For how long a message may be kept for who is away; `None` for ever.
    pub(crate) fn time_to_live(&self) -> Result<Option<Duration>, ApiError> {
        let Some(value) = self.one(TTL.name)? else { return Ok(None) };
        let seconds = value.parse::<u16>().ok().filter(|seconds| *seconds <= MAX_TTL_SECONDS);
        let seconds = seconds
            .ok_or_else(|| ApiError::bad_request(format!("'{}' is a number from 0 to {MAX_TTL_SECONDS}.", TTL.name)))?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
    }

    /// Which connections are meant; `None` is all of them.
    pub(crate) fn filter(&self) -> Result<Option<Arc<Filter>>, ApiError> {
        self.one(FILTER.name)?.map(parse_filter).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let Some(value) = self.one(name)? else { return Ok(None) };
        let number = value.parse::<NonZeroUsize>();
        number
            .map(|number| Some(number.get()))
            .map_err(|_| ApiError::bad_request(format!("'{name}' is a number from 1.")))
    }

    /// Which page is asked for, of at most `most` entries. `parse` reads what a page before this one ended with.
    pub(crate) fn page<K>(&self, most: usize, parse: impl FnOnce(&str) -> Option<K>) -> Result<PageAsked<K>, ApiError> {
        let after = match self.one("continuationToken")? {
            None | Some("") => None,
            Some(token) => {
                let bad = || ApiError::bad_request("'continuationToken' is not one that this list gave.");
                Some(parse(token).ok_or_else(bad)?)
            }
        };
        let top = self.number("top")?;
        let size = self.number("maxpagesize")?.unwrap_or(most).min(most);
        Ok(PageAsked { after, limit: size.min(top.unwrap_or(size)), top })
    }

    /// The query of the page that follows, behind what `token` stands for and `given` entries nearer to the top.
    pub(crate) fn next(&self, token: &str, given: usize) -> String {
        let mut next = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            match name.as_str() {
                "continuationToken" => {}
                "top" => {
                    let left = value.parse::<usize>().unwrap_or_default().saturating_sub(given);
                    next.append_pair("top", &left.to_string());
                }
                // A token in a URL ends in logs.
                "access_token" => {}
                name => {
                    next.append_pair(name, value);
                }
            }
        }
        next.append_pair("continuationToken", token);
        next.finish()
    }
}

/// A page that is asked for.
pub(crate) struct PageAsked<K> {
    /// Behind this.
    pub(crate) after: Option<K>,
    /// At most so many.
    pub(crate) limit: usize,
    /// Of all pages together, from this one on.
    top: Option<usize>,
}

impl<K> PageAsked<K> {
    /// Whether there is a page behind one with `given` entries.
    pub(crate) fn goes_on(&self, given: usize) -> bool {
        self.top.is_none_or(|top| given < top)
    }
}

/// Reads a filter, or says what is wrong with it.
pub(super) fn parse_filter(text: &str) -> Result<Arc<Filter>, ApiError> {
    text.parse().map(Arc::new).map_err(|error: FilterError| ApiError::bad_request(error.to_string()))
}

/// Where the next page is: an absolute URL.
pub(super) fn next_link(base: &str, request: &HttpRequest, query: &Query, token: &str, given: usize) -> String {
    format!("{base}{}?{}", request.path(), query.next(token, given))
}

#[cfg(test)]
mod tests {
    use super::super::operations;
    use super::*;

    fn query(text: &str) -> Query {
        Query::read(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn a_version_is_one_that_is_known_and_there_once() {
        for good in ["", "api-version=2024-12-01", "api-version=2021-10-01&x=y"] {
            assert!(Query::read(good).is_ok(), "{good}");
        }
        for bad in ["api-version=", "api-version=2025-01-01", "api-version=2024-12-01&api-version=2024-12-01"] {
            assert!(Query::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_operation_must_not_ignore_is_refused_where_it_has_no_meaning() {
        let operation = |method, segments: &[&str]| operations::find(method, segments).ok().unwrap();
        let (send, join) = (
            operation("POST", &["hubs", "chat", "users", "u", ":send"]),
            operation("PUT", &["hubs", "chat", "users", "u", "groups", "g"]),
        );
        for text in ["filter=userId%20eq%20'a'", "messageTtlSeconds=5", "excluded=x&excluded=y"] {
            assert!(query(text).check_for(send).is_ok(), "{text}");
            assert!(query(text).check_for(join).is_err(), "{text}");
        }
        assert!(query("elsewhere=known").check_for(join).is_ok());
    }

    #[test]
    fn a_message_lives_for_at_most_five_minutes_or_for_ever() {
        let ttl = |text: &str| query(text).time_to_live().ok();
        assert_eq!(ttl(""), Some(None));
        assert_eq!(ttl("messageTtlSeconds=0"), Some(None));
        assert_eq!(ttl("messageTtlSeconds=300"), Some(Some(Duration::from_secs(300))));
        for bad in ["301", "-1", "", "x", "1.5", "1&messageTtlSeconds=1"] {
            assert_eq!(ttl(&format!("messageTtlSeconds={bad}")), None, "{bad}");
        }
    }

    #[test]
    fn a_page_is_no_larger_than_asked_allowed_or_left() {
        let limit = |text: &str| query(text).page(200, |_| Some(())).map(|page| page.limit).ok();
        assert_eq!(limit(""), Some(200));
        assert_eq!(limit("maxpagesize=10"), Some(10));
        assert_eq!(limit("maxpagesize=1000"), Some(200));
        assert_eq!(limit("maxpagesize=10&top=3"), Some(3));
        for bad in ["maxpagesize=0", "maxpagesize=-1", "maxpagesize=x", "top=0", "top=1&top=2"] {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_next_page_is_asked_for_like_this_one() {
        let next = query("mask=a%2F*&top=5&continuationToken=x&maxpagesize=2").next("y/z", 2);
        assert_eq!(next, "mask=a%2F*&top=3&maxpagesize=2&continuationToken=y%2Fz");
    }
}
