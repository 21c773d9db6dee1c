//! An answer that is made while it is sent: each of its frames counts as activity, so that a long one is not taken for an
//! idle connection. One whose client stops reading gives no frames any more, and is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::connection::Activity;

struct WatchedBody {
    inner: Body,
    activity: Arc<Activity>,
}

/// Watches a body of unknown length. One that is whole is written out at once, and left as it is.
pub(crate) fn watched(body: Body, activity: &Arc<Activity>) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(WatchedBody { inner: body, activity: Arc::clone(activity) })
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_ready() {
            self.activity.touch();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
