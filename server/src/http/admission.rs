//! Who sends a request, by what the request has: a token, the session of a browser, or what a proxy
//! says.

use std::{net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use futures_util::future::LocalBoxFuture;
use jobtracker_model::Timestamp;

use super::{
    app::{App, State},
    cookie,
    problem::{ApiError, Result},
};
use crate::{
    access::{Access, Admitted, Refused},
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
    let sessions = cookie::all(request);
    if sessions.is_empty() {
        return Known::Is(Err(Refused::Missing.into()));
    }
    match app.sites.check_session(request) {
        Ok(()) => by_session(app, sessions, now),
        Err(refused) => Known::Is(Err(refused)),
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

/// Who sends one of these sessions; the first that is accepted counts.
fn by_session(app: &App, sessions: Vec<String>, now: Timestamp) -> Known {
    let mut why = None;
    for session in &sessions {
        match app.access.session(session, now) {
            Some(Ok(admitted)) => return Known::Is(Ok(admitted)),
            Some(Err(refused)) => why = Some(clearer(why, refused)),
            None => return Known::Asks(Box::pin(find(Arc::clone(&app.access), sessions, now))),
        }
    }
    Known::Is(Err(why.unwrap_or(Refused::Missing).into()))
}

/// The same, as the store knows.
async fn find(access: Arc<Access>, sessions: Vec<String>, now: Timestamp) -> Result<Admitted> {
    let mut why = None;
    for session in sessions {
        match access.find_session(&session, now).await {
            Ok(admitted) => return Ok(admitted),
            Err(refused) => why = Some(clearer(why, refused)),
        }
    }
    Err(why.unwrap_or(Refused::Missing).into())
}

/// Of two reasons the one that says more: a text of another program is taken for a session that is
/// over.
fn clearer(before: Option<Refused>, refused: Refused) -> Refused {
    before.filter(|before| !matches!(before, Refused::SessionEnded)).unwrap_or(refused)
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
