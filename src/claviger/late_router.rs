//! Routes of the peer listener that need the open barrier: until it is, callers are told to try again.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

/// A router that is set later.
#[derive(Clone, Default)]
pub(crate) struct LateRouter(Arc<OnceLock<Router>>);

impl LateRouter {
    pub(crate) fn set(&self, router: Router) {
        // It is set once, when the barrier opens.
        let _ = self.0.set(router);
    }

    pub(crate) fn router(&self) -> Router {
        let late = self.clone();
        Router::new().fallback(move |request: Request| late.clone().answer(request))
    }

    async fn answer(self, request: Request) -> Response {
        match self.0.get() {
            Some(router) => router.clone().oneshot(request).await.into_response(),
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
}
