//! Deliveries that come back. The guard knows the addresses of this server, and not those of others
//! on the same store, nor the names by which they are called: what arrives says what it is.

use actix_web::http::header::{HeaderMap, USER_AGENT};
use jobtracker_model::ProblemCode;
use standardwebhooks::HEADER_WEBHOOK_ID;

use super::problem::ApiError;

/// What the user agents of all versions begin with.
const AGENT: &[u8] = b"jobtracker/";

/// Refuses the delivery of an action. The answer is one after which it is not tried again.
pub(super) fn refuse_delivery(headers: &HeaderMap) -> Result<(), ApiError> {
    let ours = headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(AGENT));
    if ours && headers.contains_key(HEADER_WEBHOOK_ID) {
        return Err(ApiError::new(ProblemCode::NotAReceiver, "An action names a job tracker."));
    }
    Ok(())
}
