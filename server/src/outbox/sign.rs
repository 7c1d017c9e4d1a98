use jobtracker_model::{Secret, Timestamp};
use reqwest::header::{HeaderMap, HeaderValue, InvalidHeaderValue};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

/// Why a request cannot be signed. A delivery that was validated at creation can be.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The secret or the body is invalid.
    #[error("the request cannot be signed")]
    Signature(#[from] WebhookError),
    /// The delivery's id is no header value.
    #[error("the delivery's id cannot stand in a header")]
    Id(#[from] InvalidHeaderValue),
}

/// The headers of the Standard Webhooks specification for a body: id, time of this try, and, with
/// a secret, the signature over all three.
///
/// # Errors
/// The secret, the id or the body is invalid.
pub fn signed_headers(
    id: &str,
    now: Timestamp,
    secret: Option<&Secret>,
    body: &[u8],
) -> Result<HeaderMap, SignError> {
    let seconds = now.millis() / 1_000;
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_WEBHOOK_ID, HeaderValue::from_str(id)?);
    headers.insert(HEADER_WEBHOOK_TIMESTAMP, HeaderValue::from(seconds));
    if let Some(secret) = secret {
        let signature = Webhook::new(secret.expose())?.sign(id, seconds, body)?;
        headers.insert(HEADER_WEBHOOK_SIGNATURE, HeaderValue::from_str(&signature)?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_receivers_verify() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let now = crate::clock::now();
        let headers = signed_headers("dlv_1", now, Some(&secret), b"{}").unwrap();
        let receiver = Webhook::new(secret.expose()).unwrap();
        assert!(receiver.verify(b"{}", &headers).is_ok());
        assert!(receiver.verify(b"{ }", &headers).is_err());
        let other = Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        assert!(other.verify(b"{}", &headers).is_err());
        let plain = signed_headers("dlv_1", now, None, b"{}").unwrap();
        assert_eq!(plain.len(), 2);
        assert!(signed_headers("a\nb", now, None, b"{}").is_err());
        assert!(signed_headers("a", now, Some(&Secret::new("whsec_!")), b"{}").is_err());
    }
}
