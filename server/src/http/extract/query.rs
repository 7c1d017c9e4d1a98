use std::{
    borrow::Cow,
    fmt::Display,
    future::{Ready, ready},
    str::FromStr,
    time::Duration,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use jobtracker_model::{Order, ProblemCode, StateSet, Timestamp, limits};
use jobtracker_store::PageLimit;
use serde::de::DeserializeOwned;

use super::super::problem::{ApiError, Result};

/// The query string. Its fields are texts, so that a bad one can be refused by name.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = web::Query::<T>::from_query(request.query_string());
        ready(
            parsed
                .map(|query| Self(query.into_inner()))
                .map_err(|error| ApiError::new(ProblemCode::InvalidQuery, format!("{error}."))),
        )
    }
}

/// How many items a page may have.
pub(crate) fn limit(text: Option<&str>) -> Result<PageLimit> {
    let items = number("limit", text, 1, limits::PAGE)?;
    Ok(PageLimit::items(items.unwrap_or(limits::PAGE_DEFAULT)))
}

/// A number with its bounds.
pub(crate) fn number<T>(name: &str, text: Option<&str>, min: T, max: T) -> Result<Option<T>>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let Some(text) = text else { return Ok(None) };
    let within = |number: &T| *number >= min && *number <= max;
    match text.parse().ok().filter(within) {
        Some(number) => Ok(Some(number)),
        None => Err(ApiError::query(name, format!("must be a number from {min} to {max}"))),
    }
}

/// The order of a list.
pub(crate) fn order(text: Option<&str>) -> Result<Option<Order>> {
    let parse = |text: &str| text.parse().map_err(|error| ApiError::query("order", error));
    text.map(parse).transpose()
}

/// States separated by commas; none: any.
pub(crate) fn states(text: Option<&str>) -> Result<StateSet> {
    text.unwrap_or("").parse().map_err(|error| ApiError::query("states", error))
}

/// A time.
pub(crate) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>> {
    let parse = |text| with_plus(text).parse().map_err(|error| ApiError::query(name, error));
    text.map(parse).transpose()
}

/// The plus of an offset arrives as a space if it was not escaped. After a time of day a space has
/// no other meaning.
fn with_plus(text: &str) -> Cow<'_, str> {
    match text.rsplit_once(' ') {
        Some((moment, offset)) if moment.contains(':') => format!("{moment}+{offset}").into(),
        _ => text.into(),
    }
}

/// A flag; false without a text.
pub(crate) fn flag(name: &str, text: Option<&str>) -> Result<bool> {
    let parsed = text.map_or(Ok(false), str::parse);
    parsed.map_err(|_| ApiError::query(name, "must be true or false"))
}

/// How long to wait.
pub(crate) fn wait_time(text: Option<&str>) -> Result<Duration> {
    /// The wait when the caller gives no time.
    const DEFAULT_MS: u64 = 30_000;
    let millis = number("timeoutMs", text, 0, limits::WAIT_MS)?;
    Ok(Duration::from_millis(millis.unwrap_or(DEFAULT_MS)))
}
