use reqwest::Response;
use tokio::time::{Instant, timeout_at};

/// Shorter secrets are words that also occur by chance.
const HIDDEN_FROM: usize = 4;

/// The begin of an answer, of at most this many bytes, as far as it comes in time. Its status is
/// known already, so an error here changes nothing.
pub async fn begin_of(mut response: Response, most: usize, deadline: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        let room = most - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == most {
            break;
        }
    }
    bytes
}

/// Removes from an answer what was sent in confidence: some receivers answer with the headers that
/// they got.
#[must_use]
pub fn without_secrets<'a>(
    mut text: String,
    secrets: impl Iterator<Item = &'a str> + Clone,
) -> String {
    // In "Bearer x", x alone is a secret as well.
    let words = secrets.clone().filter_map(|value| Some(value.rsplit_once(' ')?.1));
    for hidden in secrets.chain(words) {
        if hidden.len() >= HIDDEN_FROM {
            text = text.replace(hidden, "***");
        }
    }
    text
}
