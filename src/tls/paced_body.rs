//! A request body that must arrive at a minimum pace.
//!
//! A limit on the whole time would cut a large snapshot, a limit per frame would let one byte at a time through for days.
//! Here a body has a fixed patience plus a share for every byte that came. Only time spent waiting for the client counts:
//! a handler that reads slowly does not make its client slow.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// Slower than any link over which a region could be run; a body of the largest API size may take about a minute.
const PACE_BYTES_PER_SECOND: u64 = 16 * 1024;

/// The body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the request body arrives too slowly")]
struct TooSlow;

/// See the module.
pub(crate) struct PacedBody {
    inner: Incoming,
    patience: Duration,
    received_bytes: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl PacedBody {
    pub(crate) const fn new(inner: Incoming, patience: Duration) -> Self {
        Self { inner, patience, received_bytes: 0, waited: Duration::ZERO, waiting: None }
    }

    fn patience_left(&self) -> Duration {
        let earned = Duration::from_secs(self.received_bytes / PACE_BYTES_PER_SECOND);
        (self.patience + earned).saturating_sub(self.waited)
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.waited += since.elapsed();
                }
                if let Some(Ok(frame)) = &frame {
                    self.received_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(frame.map(|result| result.map_err(Into::into)))
            }
            Poll::Pending => {
                let left = self.patience_left();
                let (_, sleep) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
                sleep.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
