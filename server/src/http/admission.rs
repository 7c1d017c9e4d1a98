//! Who sends a request, by what the request has: a token, the session of a browser, or what a proxy
//! says.

use std::net::IpAddr;

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use futures_util::future::LocalBoxFuture;
use jobtracker_model::Timestamp;

use super::{
    app::{App, State},
    cookie,
    problem::{ApiError, Result},
};
use crate::{
    access::{Admitted, Refused},
    clock,
};

/// Who sends a request.
pub(super) enum Known {
    Is(Result<Admitted>),
    /// The store has to be asked.
    Asks(LocalBoxFuture<'static, Result<Admitted>>),
}

/// `from`: the address whose failed tries are limited.
pub(super) fn known(request: &HttpRequest, from: Option<IpAddr>) -> Known {
    let Some(app) = request.app_data::<State>() else {
        return Known::Is(Err(ApiError::internal(&"the application has no state")));
    };
    if let Some(user) = app.proxy.user(request) {
        // Its users come by browsers, which bring what the proxy knows them by with every request.
        let checked = user.and_then(|user| app.sites.check_session(request).map(|()| user));
        return Known::Is(checked);
    }
    if app.access.is_open() {
        return Known::Is(app.sites.check(request).map(|()| Admitted::ANONYMOUS));
    }
    let now = clock::now();
    if let Some(token) = bearer(request) {
        return by_token(app, token, from, now);
    }
    match cookie::of(request) {
        Some(session) => match app.sites.check_session(request) {
            Ok(()) => by_session(app, &session, now),
            Err(refused) => Known::Is(Err(refused)),
        },
        None => Known::Is(Err(Refused::Missing.into())),
    }
}

/// Who sends this token.
pub(super) fn by_token(app: &App, token: &[u8], from: Option<IpAddr>, now: Timestamp) -> Known {
    if let Some(known) = app.access.known(token, from, now) {
        return Known::Is(known.map_err(ApiError::from));
    }
    let finding = app.access.find(token, from, now);
    Known::Asks(Box::pin(async move { Ok(finding.await?) }))
}

fn by_session(app: &App, session: &str, now: Timestamp) -> Known {
    if let Some(known) = app.access.session(session, now) {
        return Known::Is(known.map_err(ApiError::from));
    }
    let finding = app.access.find_session(session, now);
    Known::Asks(Box::pin(async move { Ok(finding.await?) }))
}

/// The address from which a request came.
pub(super) fn from(request: &HttpRequest) -> Option<IpAddr> {
    request.app_data::<State>()?.proxy.client(request)
}

pub(super) fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let value = request.headers().get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}
