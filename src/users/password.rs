//! Passwords: how one is hashed and how one is compared with a hash.
//!
//! Everything here blocks for tens of milliseconds and takes 19 MiB: a server calls it through
//! [`Verifier`](crate::users::Verifier) only.

use std::fmt;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Argon2, Params};
use zeroize::Zeroizing;

/// Fewest characters of a new password (NIST SP 800-63B for a password that has limits on guessing beside it).
pub const MIN_PASSWORD_CHARS: usize = 8;
/// Most bytes of a password: more than any pass phrase, and short to hash.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Most memory that a stored hash may ask for, in KiB. The hash decides what verifying costs, so an import must not
/// bring one that takes the machine.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes over the memory that a stored hash may ask for.
const MAX_PASSES: u32 = 16;
/// Most lanes that a stored hash may ask for.
const MAX_LANES: u32 = 16;

/// Costs as much as a hash of ours, and belongs to no password that anybody knows.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Zm9sa21vb3Qubm9ib2R5IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password or a hash is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The new password is too short.
    #[error("a password has at least {MIN_PASSWORD_CHARS} characters")]
    TooShort,
    /// The password is too long.
    #[error("a password has at most {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// HTTP Basic cannot carry it.
    #[error("a password has no control characters")]
    Control,
    /// The hash is of a kind that is not understood.
    #[error("the password hash is not an Argon2id PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")]
    UnknownScheme,
    /// The hash is far costlier than ours.
    #[error(
        "the password hash asks for more than {} MiB, {MAX_PASSES} passes or {MAX_LANES} lanes",
        MAX_MEMORY_KIB / 1024
    )]
    TooCostly,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Failed,
}

/// An Argon2id hash of a password, as a PHC string. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// Takes a hash from a store.
    ///
    /// # Errors
    /// [`PasswordError::UnknownScheme`] for anything but Argon2id with salt and hash, [`PasswordError::TooCostly`] for
    /// parameters out of all proportion.
    pub fn parse(phc: &str) -> Result<Self, PasswordError> {
        let hash = phc::PasswordHash::new(phc).map_err(|_| PasswordError::UnknownScheme)?;
        if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
            return Err(PasswordError::UnknownScheme);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordError::UnknownScheme)?;
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
            return Err(PasswordError::TooCostly);
        }
        Ok(PasswordHash(Zeroizing::new(phc.to_owned())))
    }

    /// A hash that no password fits, for users who are not there.
    pub(super) fn nobody() -> Self {
        PasswordHash(Zeroizing::new(NOBODY.to_owned()))
    }

    /// The PHC string, for a store to keep.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Whether a password may be set. Passwords that were set earlier stay good.
///
/// # Errors
/// [`PasswordError`] for a password that is too short or long, or has control characters.
pub fn check_new_password(password: &str) -> Result<(), PasswordError> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(PasswordError::TooShort);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordError::Control);
    }
    Ok(())
}

/// Hashes a new password. Blocks.
///
/// ```
/// use folkmoot::users::{hash_password, verify_password};
///
/// let hash = hash_password("correct horse")?;
/// assert!(verify_password("correct horse", &hash));
/// assert!(!verify_password("correct horsf", &hash));
/// # Ok::<(), folkmoot::users::PasswordError>(())
/// ```
///
/// # Errors
/// As [`check_new_password`]; [`PasswordError::Failed`] when the machine has no memory or no randomness for it.
pub fn hash_password(password: &str) -> Result<PasswordHash, PasswordError> {
    check_new_password(password)?;
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| PasswordError::Failed)?;
    Ok(PasswordHash(Zeroizing::new(hash.to_string())))
}

/// Whether the password is the one that was hashed. Blocks; compares in constant time.
pub fn verify_password(password: &str, hash: &PasswordHash) -> bool {
    password.len() <= MAX_PASSWORD_BYTES
        && Argon2::default().verify_password(password.as_bytes(), hash.expose()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_salted_argon2id_and_debug_hides_them() {
        let (one, two) = (hash_password("password-1").unwrap(), hash_password("password-1").unwrap());
        assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(one, two);
        assert_eq!(format!("{one:?}"), "PasswordHash(…)");
        assert_eq!(PasswordHash::parse(one.expose()), Ok(one));
    }

    #[test]
    fn nobody_costs_what_a_user_costs_and_can_be_verified_against() {
        let ours = hash_password("password-1").unwrap();
        let costs = |hash: &PasswordHash| hash.expose().split('$').nth(3).map(str::to_owned);
        assert_eq!(costs(&PasswordHash::nobody()), costs(&ours));
        // A hash that does not parse would be refused at once and so cost nothing.
        assert_eq!(PasswordHash::parse(NOBODY), Ok(PasswordHash::nobody()));
        assert!(!verify_password("password-1", &PasswordHash::nobody()));
    }

    #[test]
    fn other_schemes_and_costly_hashes_are_refused() {
        for unknown in [
            "",
            "password-1",
            "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
            "$pbkdf2-sha256$i=600000$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0",
        ] {
            assert_eq!(PasswordHash::parse(unknown), Err(PasswordError::UnknownScheme), "{unknown}");
        }
        let costly = NOBODY.replace("m=19456", "m=4194304");
        assert_eq!(PasswordHash::parse(&costly), Err(PasswordError::TooCostly));
    }

    #[test]
    fn short_long_and_unsendable_passwords_are_not_set() {
        assert_eq!(check_new_password("1234567"), Err(PasswordError::TooShort));
        assert_eq!(check_new_password("ééééééé"), Err(PasswordError::TooShort));
        assert_eq!(check_new_password(&"x".repeat(1025)), Err(PasswordError::TooLong));
        assert_eq!(check_new_password("pass\0word"), Err(PasswordError::Control));
        assert_eq!(check_new_password("with: colons é"), Ok(()));
    }
}
