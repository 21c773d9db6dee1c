//! The network between test regions: it records, drops, repeats, delays and partitions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use claviger_tls::Peer;
use claviger_types::{Identity, Region};
use futures::future::{BoxFuture, FutureExt};
use http::{Request, StatusCode};
use parking_lot::Mutex;
use tower::Service;

use crate::{Answer, Transport, TransportError};

/// A message that was handed to the network.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) from: Region,
    pub(super) to: Region,
    pub(super) path: &'static str,
    pub(super) body: Bytes,
}

/// Percentages, and what is cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) drop: u64,
    pub(super) lose_answer: u64,
    pub(super) repeat: u64,
    pub(super) delay_millis_max: u64,
    pub(super) cut_regions: HashSet<Region>,
    pub(super) cut_paths: HashSet<&'static str>,
    pub(super) cut_endpoints: HashSet<String>,
    pub(super) seed: u64,
}

#[derive(Default)]
struct Inner {
    routers: Mutex<HashMap<String, (Region, Router)>>,
    faults: Mutex<Faults>,
    seen: Mutex<Vec<Seen>>,
}

#[derive(Clone, Default)]
pub(super) struct Network(Arc<Inner>);

impl Network {
    pub(super) fn attach(&self, endpoint: &str, region: Region, router: Router) {
        self.0.routers.lock().insert(endpoint.to_owned(), (region, router));
    }

    pub(super) fn link(&self, from: Region) -> Arc<dyn Transport> {
        Arc::new(Link { from, network: self.clone() })
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.faults.lock());
    }

    pub(super) fn cut_region(&self, region: Region) {
        self.0.faults.lock().cut_regions.insert(region);
    }

    pub(super) fn cut_path(&self, path: &'static str) {
        self.0.faults.lock().cut_paths.insert(path);
    }

    pub(super) fn cut_endpoint(&self, endpoint: String) {
        self.0.faults.lock().cut_endpoints.insert(endpoint);
    }

    /// Nothing is cut any more.
    pub(super) fn mend(&self) {
        self.change(|faults| {
            faults.cut_regions.clear();
            faults.cut_paths.clear();
            faults.cut_endpoints.clear();
        });
    }

    pub(super) fn seen(&self, path: &str) -> Vec<Seen> {
        self.0.seen.lock().iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// Hands a message to the region at `endpoint` as if the certificate named `who`.
    pub(super) async fn deliver(&self, endpoint: &str, who: Identity, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        let mut router = self.0.routers.lock()[endpoint].1.clone();
        let mut request = Request::post(path).body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Peer::new(who, None, None));
        let response = router.call(request).await.unwrap();
        let status = response.status();
        (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap())
    }

    /// The next of a sequence that the seed fixes.
    fn roll(&self, below: u64) -> u64 {
        let mut faults = self.0.faults.lock();
        // Knuth's MMIX constants; the high bits are the random ones.
        faults.seed = faults.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (faults.seed >> 33) % below.max(1)
    }

    fn happens(&self, percentage: u64) -> bool {
        self.roll(100) < percentage
    }

    async fn delay(&self, most: u64) {
        let delay = self.roll(most + 1);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }

    async fn carry(self, message: Seen, endpoint: String) -> Result<Answer, TransportError> {
        let lost = |what: &str| Err(TransportError(what.to_owned()));
        let faults = self.0.faults.lock().clone();
        let region = self.0.routers.lock().get(&endpoint).map(|(region, _)| region.clone());
        let cut = [&message.from, &message.to].iter().any(|region| faults.cut_regions.contains(*region));
        if cut
            || faults.cut_paths.contains(message.path)
            || faults.cut_endpoints.contains(&endpoint)
            || region.as_ref() != Some(&message.to)
        {
            return lost("cut");
        }
        self.0.seen.lock().push(message.clone());
        if self.happens(faults.drop) {
            return lost("dropped");
        }
        self.delay(faults.delay_millis_max).await;
        let sender = Identity::Node { region: message.from.clone(), id: 1 };
        if self.happens(faults.repeat) {
            let (network, endpoint, sender, message) = (self.clone(), endpoint.clone(), sender.clone(), message.clone());
            tokio::spawn(async move {
                network.delay(10 * faults.delay_millis_max).await;
                network.deliver(&endpoint, sender, message.path, message.body).await;
            });
        }
        let (status, body) = self.deliver(&endpoint, sender, message.path, message.body).await;
        self.delay(faults.delay_millis_max).await;
        if self.happens(faults.lose_answer) {
            return lost("answer lost");
        }
        Ok(Answer { status, body })
    }
}

struct Link {
    from: Region,
    network: Network,
}

impl Transport for Link {
    fn post<'a>(
        &'a self,
        endpoint: &'a str,
        region: &'a Region,
        path: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Answer, TransportError>> {
        let message = Seen { from: self.from.clone(), to: region.clone(), path, body };
        let carried = self.network.clone().carry(message, endpoint.to_owned());
        async move { tokio::time::timeout(timeout, carried).await.unwrap_or_else(|_| Err(TransportError("timed out".to_owned()))) }.boxed()
    }
}
