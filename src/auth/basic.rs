//! Login and password out of an `Authorization: Basic` header.
//!
//! The header itself is read by actix-web-httpauth; this file bounds it and decides what counts as credentials.
//! Whether they are right is decided by the user store.

use std::fmt;

use actix_http::header::HeaderValue;
use actix_web_httpauth::headers::authorization::{Basic, Scheme};
use zeroize::Zeroizing;

use crate::ids::UserId;

/// Longest header that is looked at: room for the longest login and a password of 1 KiB, base64 included.
pub const MAX_BASIC_HEADER_BYTES: usize = 4096;

/// What a 401 answers in `WWW-Authenticate`.
pub const BASIC_CHALLENGE: &str = r#"Basic realm="folkmoot", charset="UTF-8""#;

/// A header that holds no login and password. The answer is 401, whatever the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    /// Longer than [`MAX_BASIC_HEADER_BYTES`].
    #[error("the Authorization header has more than {MAX_BASIC_HEADER_BYTES} bytes")]
    TooLong,
    /// Not the base64 of `login:password` in UTF-8.
    #[error("the Authorization header is not 'Basic' and the base64 of login:password in UTF-8")]
    Malformed,
    /// The login cannot be anybody's: empty, too long, or with a control character.
    #[error("the login in the Authorization header is not a valid login")]
    Login,
}

/// A login and a password, neither of them checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    /// Who claims to connect; valid as a [`UserId`].
    pub login: String,
    /// The password, wiped from memory when dropped. It may be empty.
    pub password: Zeroizing<String>,
}

impl BasicCredentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// The password is everything after the first colon, further colons included (RFC 7617).
    ///
    /// # Errors
    /// [`BasicError`]; no header makes it panic.
    pub fn parse(header: &HeaderValue) -> Result<Self, BasicError> {
        if header.len() > MAX_BASIC_HEADER_BYTES {
            return Err(BasicError::TooLong);
        }
        // Scheme names have no case (RFC 9110) and may be followed by more than one space; the parser wants `Basic `.
        let text = header.to_str().map_err(|_| BasicError::Malformed)?;
        let (scheme, encoded) = text.split_once(' ').ok_or(BasicError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(BasicError::Malformed);
        }
        let header = HeaderValue::from_str(&format!("Basic {}", encoded.trim())).map_err(|_| BasicError::Malformed)?;
        let basic = Basic::parse(&header).map_err(|_| BasicError::Malformed)?;
        BasicCredentials::new(basic.user_id(), basic.password().unwrap_or_default())
    }

    /// Takes a login and a password from elsewhere, such as the form of `POST /auth/token`.
    ///
    /// # Errors
    /// [`BasicError::Login`] and [`BasicError::TooLong`] as for a header.
    pub fn new(login: &str, password: &str) -> Result<Self, BasicError> {
        if login.len() + password.len() > MAX_BASIC_HEADER_BYTES {
            return Err(BasicError::TooLong);
        }
        UserId::parse(login).map_err(|_| BasicError::Login)?;
        Ok(BasicCredentials { login: login.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials").field("login", &self.login).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use proptest::prelude::*;

    use super::*;

    fn header(credentials: impl AsRef<[u8]>) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(credentials))).unwrap()
    }

    #[test]
    fn the_password_is_everything_after_the_first_colon() {
        for (text, login, password) in [
            ("user-1:password-1", "user-1", "password-1"),
            ("user-1:a:b::c", "user-1", "a:b::c"),
            ("Jürgen:пароль", "Jürgen", "пароль"),
            ("user-1:", "user-1", ""),
        ] {
            let credentials = BasicCredentials::parse(&header(text)).unwrap();
            assert_eq!((credentials.login.as_str(), credentials.password.as_str()), (login, password));
        }
    }

    #[test]
    fn the_scheme_has_no_case() {
        for scheme in ["basic", "BASIC", "Basic "] {
            let value = HeaderValue::from_str(&format!("{scheme} {}", BASE64_STANDARD.encode("a:b"))).unwrap();
            assert_eq!(BasicCredentials::parse(&value).unwrap().login, "a", "{scheme}");
        }
    }

    #[test]
    fn malformed_headers_are_errors() {
        for bad in
            ["", "Basic", "Basic ", "Basic !!!!", "Basic dXNlcg==", "Bearer dTpw", "Basic dTpw dTpw", "BasicdTpw"]
        {
            let value = HeaderValue::from_str(bad).unwrap();
            assert_eq!(BasicCredentials::parse(&value), Err(BasicError::Malformed), "{bad:?}");
        }
        assert_eq!(BasicCredentials::parse(&header(b"\xff:\xfe")), Err(BasicError::Malformed));
        for bad in [":password", " :password", "a\nb:password", &format!("{}:p", "x".repeat(257))] {
            assert_eq!(BasicCredentials::parse(&header(bad)), Err(BasicError::Login), "{bad:?}");
        }
        let long = header(format!("user:{}", "x".repeat(MAX_BASIC_HEADER_BYTES)));
        assert_eq!(BasicCredentials::parse(&long), Err(BasicError::TooLong));
    }

    #[test]
    fn the_password_is_never_shown() {
        let shown = format!("{:?}", BasicCredentials::parse(&header("mark:open sesame")).unwrap());
        assert!(shown.contains("mark") && !shown.contains("sesame"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = BasicCredentials::parse(&value);
            }
            let _ = BasicCredentials::parse(&header(&bytes));
        }

        #[test]
        fn what_a_client_encodes_is_what_is_read(login in "[a-zà-ÿ0-9@._-]{1,30}", password in "\\PC{0,40}") {
            let credentials = BasicCredentials::parse(&header(format!("{login}:{password}"))).unwrap();
            prop_assert_eq!((credentials.login, credentials.password.to_string()), (login, password));
        }
    }
}
