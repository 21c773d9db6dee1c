//! Nodes that are cut off in tests: whatever reaches them, and whatever they send to others, is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use claviger_tls::Peer;
use claviger_types::{Identity, NodeId};
use http::StatusCode;
use parking_lot::Mutex;

/// Who is cut off; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Cut(Arc<Mutex<BTreeSet<NodeId>>>);

impl Cut {
    pub(crate) fn off(&self, id: NodeId) {
        self.0.lock().insert(id);
    }

    pub(crate) fn heal(&self) {
        self.0.lock().clear();
    }

    /// A node's router behind the cut.
    pub(crate) fn before(&self, me: NodeId, router: Router) -> Router {
        let cut = self.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let cut = cut.clone();
            async move { cut.pass(me, request, next).await }
        }))
    }

    async fn pass(&self, me: NodeId, request: Request, next: Next) -> Response {
        let from = match request.extensions().get::<Peer>().map(|peer| &peer.identity) {
            Some(Identity::Node { id, .. }) => Some(*id),
            _ => None,
        };
        let lost = || self.0.lock().iter().any(|id| *id == me || Some(*id) == from);
        if lost() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let answer = next.run(request).await;
        if lost() { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { answer }
    }
}
