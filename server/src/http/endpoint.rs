use std::{future::ready, sync::Arc};

use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, web};

use jobtracker_model::Role;

use super::{problem::ApiError, right::Guarded};
use crate::metrics::{Metrics, RouteMetrics};

/// One address and its methods. Other methods are answered with those that it takes.
///
/// The first argument of a handler says which role it needs: a handler without a right does not
/// compile here.
pub(crate) struct Endpoint {
    pub path: &'static str,
    /// Each method with the role that it needs.
    pub methods: Vec<(&'static str, Option<Role>)>,
    resource: Resource,
}

/// What the middleware reads at a matched address.
#[derive(Clone)]
pub(crate) struct Matched(pub Arc<RouteMetrics>);

impl Endpoint {
    pub fn at(path: &'static str) -> Self {
        Self { path, methods: Vec::new(), resource: web::resource(path) }
    }

    /// GET, and HEAD with it.
    pub fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args> + Clone,
        Args: FromRequest + Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("GET", web::get(), handler.clone()).route("HEAD", web::head(), handler)
    }

    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("POST", web::post(), handler)
    }

    pub fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("PUT", web::put(), handler)
    }

    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("DELETE", web::delete(), handler)
    }

    fn route<F, Args>(mut self, method: &'static str, route: Route, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push((method, Args::ROLE));
        Self { resource: self.resource.route(route.to(handler)), ..self }
    }

    /// The resource for actix, with the metrics of this address.
    pub fn into_resource(self, metrics: &Arc<Metrics>) -> Resource {
        let methods: Vec<_> = self.methods.iter().map(|(method, _)| *method).collect();
        let allow: Arc<str> = methods.join(", ").into();
        let matched = Matched(RouteMetrics::new(self.path, Arc::clone(metrics)));
        let refuse = move |_: HttpRequest| {
            let refused = ApiError::method_not_allowed(Arc::clone(&allow));
            ready(Err::<&'static str, _>(refused))
        };
        self.resource.app_data(matched).default_service(web::route().to(refuse))
    }
}
