//! Deliveries that come back. The guard knows the addresses of this server, but not those of other
//! servers on the same store, nor names that lead to them: so a delivery is recognized on arrival.

use actix_web::http::header::{HeaderMap, USER_AGENT};
use jobtracker_model::ProblemCode;
use standardwebhooks::HEADER_WEBHOOK_ID;

use super::problem::ApiError;

/// The begin of the user agents of all versions.
const AGENT: &[u8] = b"jobtracker/";

/// Refuses the delivery of an action, with an answer after which it is not tried again.
pub(super) fn refuse_delivery(headers: &HeaderMap) -> Result<(), ApiError> {
    let ours = headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(AGENT));
    if ours && headers.contains_key(HEADER_WEBHOOK_ID) {
        return Err(ApiError::new(ProblemCode::NotAReceiver, "An action names a job tracker."));
    }
    Ok(())
}
