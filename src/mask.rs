//! Masks: patterns over group names.

/// A pattern over group names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mask {
    text: std::sync::Arc<str>,
}

/// Why a text is not a mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A `[` without its `]`.
    #[error("the mask has a '[' without its ']'")]
    UnclosedSet,
}

impl Mask {
    /// Whether a character makes a text a mask.
    pub fn is_wildcard(c: char) -> bool {
        matches!(c, '*' | '?' | '[')
    }

    /// Takes a mask from outside.
    ///
    /// # Errors
    /// [`MaskError`].
    pub fn parse(text: &str) -> Result<Self, MaskError> {
        Ok(Mask { text: text.into() })
    }

    /// The mask as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
