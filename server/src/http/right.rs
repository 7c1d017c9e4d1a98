//! The right to an operation: the first argument of its handler, from which the OpenAPI document
//! has the role too.

use std::{
    fmt,
    future::{Ready, ready},
    net::IpAddr,
    time::Duration,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderValue,
};
use futures_util::future::{Either, LocalBoxFuture};
use jobtracker_model::{AuditEntry, Problem, ProblemCode, Role};

use super::{
    admission::{Known, from, known},
    app::{App, State},
    problem::{ApiError, Result},
    request_id::GivenOut,
};
use crate::{access::Admitted, clock};

/// A caller who has at least one role: the one with this position in [`Role::ALL`].
#[derive(Clone)]
pub(crate) struct Caller<const ROLE: usize> {
    pub admitted: Admitted,
    /// Where the request came from and its id, for the audit list. Of a service that reads or
    /// writes jobs, of which there may be very many requests, nothing is noted.
    origin: Option<Origin>,
}

#[derive(Clone)]
struct Origin {
    from: Option<IpAddr>,
    request_id: HeaderValue,
}

/// A caller who may read.
pub(crate) type Reader = Caller<{ Role::Reader as usize }>;
/// A caller who may create jobs and report about them.
pub(crate) type Writer = Caller<{ Role::Writer as usize }>;
/// A caller who may act on what others made.
pub(crate) type Operator = Caller<{ Role::Operator as usize }>;
/// A caller who may do everything.
pub(crate) type Admin = Caller<{ Role::Admin as usize }>;

/// Any caller, with a token or without one. What it may do shows no stored data and changes
/// nothing.
pub(crate) struct Anyone;

/// What the first argument of every handler is.
pub(crate) trait Right: FromRequest {
    /// The role that the caller has to have; `None`: no token is needed.
    const ROLE: Option<Role>;
}

impl<const ROLE: usize> Right for Caller<ROLE> {
    const ROLE: Option<Role> = Some(Role::ALL[ROLE]);
}

impl Right for Anyone {
    const ROLE: Option<Role> = None;
}

/// The arguments of a handler, the right before all others.
pub(crate) trait Guarded: Sized {
    const ROLE: Option<Role>;

    /// Takes the right from the request, and the other arguments once the caller has it: a body is
    /// read, and the request is found to be wrong, only for a caller who may send it.
    async fn extract(request: &HttpRequest, payload: &mut Payload) -> Extracted<Self>;
}

type Extracted<T> = std::result::Result<T, Error>;

macro_rules! guarded {
    ($($argument:ident)*) => {
        impl<R: Right, $($argument: FromRequest + 'static),*> Guarded for (R, $($argument,)*) {
            const ROLE: Option<Role> = R::ROLE;

            #[allow(non_snake_case, reason = "the arguments are named as their types")]
            async fn extract(request: &HttpRequest, payload: &mut Payload) -> Extracted<Self> {
                let right = R::from_request(request, payload).await.map_err(Into::into)?;
                let ($($argument,)*) =
                    <($($argument,)*)>::from_request(request, payload).await?;
                Ok((right, $($argument,)*))
            }
        }
    };
}

guarded!();
guarded!(A);
guarded!(A B);
guarded!(A B C);
guarded!(A B C D);

impl FromRequest for Anyone {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

impl<const ROLE: usize> FromRequest for Caller<ROLE> {
    type Error = ApiError;
    /// Ready unless the store has to be asked for a token that this server does not know.
    type Future = Either<Ready<Result<Self>>, LocalBoxFuture<'static, Result<Self>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        match known(request, from(request)) {
            Known::Is(known) => {
                Either::Left(ready(known.and_then(|admitted| Self::with(admitted, Some(request)))))
            }
            Known::Asks(asking) => {
                let request = request.clone();
                Either::Right(Box::pin(async move { Self::with(asking.await?, Some(&request)) }))
            }
        }
    }
}

/// How often it is checked whether a caller still has the right to an answer that goes on.
const CHECKED_EVERY: Duration = Duration::from_secs(3);

impl<const ROLE: usize> Caller<ROLE> {
    /// Ends when a live view ends for the caller of a request, and says why: a token may be
    /// revoked, or its time be over. `None`: its client may connect again.
    pub async fn ends(request: HttpRequest) -> Option<Problem> {
        let live = request.app_data::<State>().and_then(|app| app.proxy.live(&request));
        let over = async {
            match live {
                Some(live) => tokio::time::sleep(live).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = Self::lost(request.clone()) => Some(Problem::new(error.code(), "")),
            () = over => None,
        }
    }

    /// Ends when the caller of a request has lost the right while its answer goes on, and says why.
    pub async fn lost(request: HttpRequest) -> ApiError {
        loop {
            tokio::time::sleep(CHECKED_EVERY).await;
            // Without an address this is no try of the caller: it neither counts as a failed one
            // nor has to wait because of others.
            let known = match known(&request, None) {
                Known::Is(known) => known,
                Known::Asks(asking) => asking.await,
            };
            let checked = known.and_then(|admitted| Self::with(admitted, None));
            if let Some(error) = checked.err().filter(|error| !error.code().is_transient()) {
                return error;
            }
        }
    }

    /// The caller, if its role is enough. `request`: where it comes from is noted if what it asks
    /// for may be put on the audit list.
    fn with(admitted: Admitted, request: Option<&HttpRequest>) -> Result<Self> {
        let (needs, has) = (Role::ALL[ROLE], admitted.principal.role());
        if has < needs {
            let name = admitted.principal.name();
            let detail = format!("It needs the role {needs}, and {name} has the role {has}.");
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        let is_noted = needs >= Role::Operator || (needs == Role::Writer && admitted.is_noted());
        let origin = request.filter(|_| is_noted).and_then(Origin::of);
        Ok(Self { admitted, origin })
    }

    /// Does something that services do too: as [`act`](Self::act) if the caller does it by hand.
    pub async fn act_if_by_hand<T>(
        &self,
        app: &App,
        act: &str,
        subject: impl fmt::Display,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if self.admitted.is_noted() { self.act(app, act, subject, work).await } else { work.await }
    }

    /// Does something by hand: after it was written down durably who asks for it.
    pub async fn act<T>(
        &self,
        app: &App,
        act: &str,
        subject: impl fmt::Display,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (principal, origin) = (&self.admitted.principal, self.origin.as_ref());
        let request_id = origin.and_then(|origin| origin.request_id.to_str().ok());
        let begun = app.audit.begin(AuditEntry {
            time: clock::now(),
            name: principal.name().to_owned(),
            role: principal.role(),
            how: Some(self.admitted.how),
            act: act.to_owned(),
            subject: subject.to_string(),
            from: origin.and_then(|origin| origin.from).map(|from| from.to_string()),
            request_id: request_id.unwrap_or_default().to_owned(),
            failed: None,
        });
        let begun = begun.await?;
        let done = work.await;
        if let Err(error) = &done {
            app.audit.fail(begun, error.code()).await;
        }
        done
    }
}

impl Origin {
    /// The reply gets the same request id.
    fn of(request: &HttpRequest) -> Option<Self> {
        let request_id = request.app_data::<State>()?.request_ids.of(request.headers());
        request.extensions_mut().insert(GivenOut(request_id.clone()));
        Some(Self { from: from(request), request_id })
    }
}
