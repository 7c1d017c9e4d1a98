use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderValue, SET_COOKIE},
    },
};
use jobtracker_model::{Authentication, NewSession, Session};

use super::{
    admission::{Known, bearer, by_token, from},
    app::{App, State},
    cookie,
    extract::OptionalJson,
    problem::Result,
    reply,
    right::{Anyone, Reader},
};
use crate::{
    access::{Admitted, Refused},
    clock,
};

/// Ask who the caller is
///
/// The name and the role, by which a page knows what it may offer, and when the session ends. It
/// goes on for twelve hours from the last time that it was asked for, and for seven days at most.
/// Refused with `unauthorized` or `session_ended` while a login is needed.
#[utoipa::path(get, path = "/api/v1/session", operation_id = "getSession", tag = "access",
    responses((status = 200, description = "The caller.", body = Session)))]
pub(super) async fn get(caller: Reader, app: State, request: HttpRequest) -> Result<HttpResponse> {
    let is_session = caller.admitted.how == Authentication::Session;
    let texts = if is_session { cookie::all(&request) } else { Vec::new() };
    let now = clock::now();
    match texts.iter().find_map(|text| app.access.renew_session(text, now)) {
        Some((text, encrypted, admitted)) => {
            let encrypted = encrypted || cookie::is_encrypted(&request);
            kept(&app, &text, encrypted, &admitted)
        }
        None => shown(&app, &caller.admitted),
    }
}

/// Begin a session
///
/// For a browser: with a token, in the body or as a bearer, it gets a cookie that its scripts
/// cannot read. That is accepted as long as the token is, from the service's own page. A server
/// that requires no token gives none, and neither does one behind a proxy that knows its users.
#[utoipa::path(post, path = "/api/v1/session", operation_id = "createSession", tag = "access",
    request_body = Option<NewSession>,
    responses((status = 200, description = "The caller.", body = Session,
        headers(("set-cookie" = String, description = "The session.")))))]
pub(super) async fn create(
    _: Anyone,
    app: State,
    request: HttpRequest,
    body: OptionalJson<NewSession>,
) -> Result<HttpResponse> {
    if let Some(user) = app.proxy.user(&request) {
        app.sites.check_login(&request)?;
        return shown(&app, &user?);
    }
    if app.access.is_open() {
        app.sites.check(&request)?;
        return shown(&app, &Admitted::ANONYMOUS);
    }
    app.sites.check_login(&request)?;
    let given = body.0.as_ref().map(|new| new.token.trim().as_bytes());
    let token = given.or_else(|| bearer(&request)).ok_or(Refused::Missing)?;
    let now = clock::now();
    let admitted = match by_token(&app, token, from(&request), now) {
        Known::Is(known) => known?,
        Known::Asks(asking) => asking.await?,
    };
    let encrypted = cookie::is_encrypted(&request);
    let (text, admitted) = app.access.begin_session(admitted, token, encrypted, now).await?;
    // The one that the browser had is over.
    for before in cookie::all(&request) {
        app.access.end_session(&before, now).await?;
    }
    kept(&app, &text, encrypted, &admitted)
}

/// End the session
///
/// Durable before the reply: all copies of its cookie are refused, here at once and by other
/// servers within five seconds. Without a session that goes on this does nothing.
#[utoipa::path(delete, path = "/api/v1/session", operation_id = "endSession", tag = "access",
    responses((status = 204, description = "There is none any more.",
        headers(("set-cookie" = String, description = "None.")))))]
pub(super) async fn end(_: Anyone, app: State, request: HttpRequest) -> Result<HttpResponse> {
    let texts = cookie::all(&request);
    if !texts.is_empty() {
        app.sites.check_session(&request)?;
    }
    for text in texts {
        app.access.end_session(&text, clock::now()).await?;
    }
    let mut reply = HttpResponse::new(StatusCode::NO_CONTENT);
    reply.headers_mut().insert(SET_COOKIE, cookie::forget(&request)?);
    Ok(reply)
}

/// The caller, with a session for its browser to keep.
fn kept(app: &App, text: &str, encrypted: bool, admitted: &Admitted) -> Result<HttpResponse> {
    let mut reply = shown(app, admitted)?;
    let left = admitted.end_time.map_or(0, |end| end.millis() - clock::now().millis());
    reply.headers_mut().insert(SET_COOKIE, cookie::keep(text, encrypted, left)?);
    Ok(reply)
}

fn shown(app: &App, admitted: &Admitted) -> Result<HttpResponse> {
    let Admitted { principal, how, end_time } = admitted;
    let mut reply = reply::ok(&Session {
        name: principal.name().to_owned(),
        role: principal.role(),
        token_required: !app.access.is_open(),
        how: *how,
        end_time: *end_time,
    })?;
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply)
}
