use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use jobtracker_model::ProblemCode;
use parking_lot::RwLock;
use subtle::ConstantTimeEq;

use super::problem::{ApiError, Result};
use crate::Secret;

/// Checks the bearer token of a request.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Empty: no token is required.
    token: RwLock<Secret>,
}

impl Gate {
    pub fn new(token: Secret) -> Self {
        Self { token: RwLock::new(token) }
    }

    /// Requires another token from now on.
    pub fn set_token(&self, token: Secret) {
        *self.token.write() = token;
    }

    /// Whether no token is required.
    pub fn is_open(&self) -> bool {
        self.token.read().is_empty()
    }

    pub fn check(&self, headers: &HeaderMap) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        match given {
            Some(given) if self.is_token(given) => Ok(()),
            Some(_) => Err(refused("The token is another one.")),
            None => Err(refused("There is no bearer token in the Authorization header.")),
        }
    }

    /// Takes as long for a wrong token as for the right one; only its length may be observed.
    fn is_token(&self, given: &[u8]) -> bool {
        self.token.read().expose().as_bytes().ct_eq(given).into()
    }
}

fn refused(detail: &'static str) -> ApiError {
    ApiError::new(ProblemCode::Unauthorized, detail)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let gate = Gate::new(Secret::new("0123456789"));
        let check = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            gate.check(&headers).is_ok()
        };
        assert!(check(Some("Bearer 0123456789")));
        assert!(check(Some("bearer  0123456789")));
        for wrong in ["Bearer 012345678", "Bearer 01234567890", "Basic 0123456789", "Bearer", ""] {
            assert!(!check(Some(wrong)), "{wrong:?}");
        }
        assert!(!check(None));
    }
}
