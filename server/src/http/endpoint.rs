use std::{future::ready, sync::Arc};

use actix_web::{
    Handler, HttpRequest, HttpResponse, Resource, Responder, Route,
    dev::{ServiceRequest, ServiceResponse, fn_service},
    web,
};

use jobtracker_model::Role;

use super::{gone, problem::ApiError, right::Guarded};
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
        Args: Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("GET", web::get(), handler.clone()).route("HEAD", web::head(), handler)
    }

    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("POST", web::post(), handler)
    }

    pub fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("PUT", web::put(), handler)
    }

    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.route("DELETE", web::delete(), handler)
    }

    fn route<F, Args>(mut self, method: &'static str, route: Route, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: Guarded + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push((method, Args::ROLE));
        // `Route::to` would take all arguments at once, and answer with the error of any of them
        // while the right is still looked up.
        let service = fn_service(move |request: ServiceRequest| {
            let handler = handler.clone();
            async move {
                let (request, mut payload) = request.into_parts();
                let response = match Args::extract(&request, &mut payload).await {
                    Ok(arguments) => {
                        let answer = handler.call(arguments).await.respond_to(&request);
                        gone::explain(&request, answer.map_into_boxed_body()).await
                    }
                    Err(error) => HttpResponse::from_error(error),
                };
                Ok::<_, actix_web::Error>(ServiceResponse::new(request, response))
            }
        });
        Self { resource: self.resource.route(route.service(service)), ..self }
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
