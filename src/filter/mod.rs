//! The `filter` of the REST API: which connections a request means, as an expression of the OData subset of Web PubSub.
//!
//! A [`Filter`] that exists is well-formed and well-typed, so applying it to a connection cannot fail. What it can speak
//! of is [`Facts`]; how they are kept is the business of others.

mod ast;
mod check;
mod evaluate;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use ast::Expression;
use thiserror::Error;

/// The longest text of a filter, in bytes. As it stands in a URL, few clients can send more.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;

/// How deep parentheses, functions and `not` may be nested.
pub const MAX_FILTER_DEPTH: usize = 100;

/// Which connections a request means: `userId eq 'mark' and 'sales/europe' in groups`.
///
/// # Examples
/// ```
/// use folkmoot::filter::{Facts, Filter};
///
/// let filter: Filter = "startswith(userId, 'user-') and not ('vip' in groups)".parse()?;
/// let facts = Facts { connection_id: "c1", user_id: Some("user-1"), subprotocol: None, groups: &["Sales"] };
/// assert!(filter.matches(&facts));
/// # Ok::<(), folkmoot::filter::FilterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Expression);

/// What a filter can know of a connection.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Its id.
    pub connection_id: &'a str,
    /// Its user, if it has one.
    pub user_id: Option<&'a str>,
    /// Its subprotocol; a raw client has none.
    pub subprotocol: Option<&'a str>,
    /// The groups that it is in.
    pub groups: &'a dyn GroupSet,
}

/// The groups of a connection, however they are kept.
pub trait GroupSet {
    /// Whether this is one of them.
    fn contains(&self, group: &str) -> bool;
    /// How many there are.
    fn count(&self) -> usize;
}

impl<const N: usize> GroupSet for [&str; N] {
    fn contains(&self, group: &str) -> bool {
        self.as_slice().contains(&group)
    }

    fn count(&self) -> usize {
        N
    }
}

/// Why a text is no filter. `at` counts characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Longer than [`MAX_FILTER_BYTES`].
    #[error("the filter has {0} bytes, and {MAX_FILTER_BYTES} are the most")]
    TooLong(usize),
    /// Nested deeper than [`MAX_FILTER_DEPTH`].
    #[error("the filter is nested deeper than {MAX_FILTER_DEPTH} at character {at}")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// Not the grammar.
    #[error("{message} at character {at} of the filter")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Where.
        at: usize,
    },
    /// Well-formed, and yet without a meaning: `userId gt 5`.
    #[error("{message} at character {at} of the filter")]
    Type {
        /// What is wrong.
        message: String,
        /// Where.
        at: usize,
    },
}

impl Filter {
    /// Whether it means this connection.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        evaluate::is_true(&self.0, facts)
    }

    /// What it costs to apply it once, where looking at a connection costs one.
    pub(crate) fn weight(&self) -> usize {
        self.0.weight()
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(FilterError::TooLong(text.len()));
        }
        let expression = parser::parse(text)?;
        check::is_condition(&expression)?;
        Ok(Filter(expression))
    }
}
