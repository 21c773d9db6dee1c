//! The nodes of one region: which to ask first, and which have failed of late.
//!
//! Requests go round the nodes in turn. One that failed is asked last until its penalty has passed; then a single request
//! tries it again, and only its success brings the others back.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use claviger_types::Region;
use tokio::time::Instant;

/// The penalty after a first failure; it doubles with each further one.
const PENALTY_MIN: Duration = Duration::from_secs(1);
/// The longest.
const PENALTY_MAX: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Nodes {
    region: Region,
    nodes: Vec<Node>,
    turn: AtomicUsize,
    started: Instant,
}

struct Node {
    /// Milliseconds after `started` until which it is asked last; 0 while it is well.
    suspect_until_ms: AtomicU64,
    failures: AtomicU32,
}

impl Nodes {
    pub(crate) fn new(region: Region, count: usize) -> Self {
        let node = |_| Node { suspect_until_ms: AtomicU64::new(0), failures: AtomicU32::new(0) };
        Self { region, nodes: (0..count).map(node).collect(), turn: AtomicUsize::new(0), started: Instant::now() }
    }

    pub(crate) const fn region(&self) -> &Region {
        &self.region
    }

    /// All nodes, each once, in the order in which one request should ask them.
    pub(crate) fn in_order(&self) -> Vec<usize> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.nodes.len();
        let mut order: Vec<usize> = (first..self.nodes.len()).chain(0..first).collect();
        let tries_again = self.may_try_again(first);
        // Stable: among equals the turn decides.
        order.sort_by_key(|index| !(*index == first && tries_again) && self.is_suspect(*index));
        order
    }

    /// Notes an answer; says whether the node was suspect until now.
    pub(crate) fn answered(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        // Written only when it changes anything: requests share these lines of memory.
        if node.suspect_until_ms.load(Ordering::Relaxed) == 0 {
            return false;
        }
        node.failures.store(0, Ordering::Relaxed);
        node.suspect_until_ms.swap(0, Ordering::Relaxed) != 0
    }

    /// Notes a failure; says whether the node was well until now.
    pub(crate) fn failed(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let failures = node.failures.fetch_add(1, Ordering::Relaxed);
        let penalty = PENALTY_MIN.saturating_mul(1 << failures.min(5)).min(PENALTY_MAX);
        node.suspect_until_ms.swap(self.now_ms() + millis(penalty), Ordering::Relaxed) == 0
    }

    fn is_suspect(&self, index: usize) -> bool {
        self.nodes[index].suspect_until_ms.load(Ordering::Relaxed) != 0
    }

    /// Whether a suspect's penalty has passed and this request is the one to try it.
    fn may_try_again(&self, index: usize) -> bool {
        let until = &self.nodes[index].suspect_until_ms;
        let (held, now) = (until.load(Ordering::Relaxed), self.now_ms());
        held != 0 && held <= now && until.compare_exchange(held, now + millis(PENALTY_MIN), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn now_ms(&self) -> u64 {
        // Never 0, which means "well".
        millis(self.started.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn nodes(count: usize) -> Nodes {
        Nodes::new("eu-west-1".parse().unwrap(), count)
    }

    #[tokio::test(start_paused = true)]
    async fn load_goes_round() {
        let nodes = nodes(3);
        let orders: Vec<_> = (0..4).map(|_| nodes.in_order()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_node_comes_last_until_one_request_finds_it_well() {
        let nodes = nodes(3);
        assert!(nodes.failed(0), "it was well before");
        assert!(!nodes.failed(0));
        assert!((0..6).all(|_| nodes.in_order()[2] == 0));
        // Two failures: two seconds.
        advance(Duration::from_millis(1_900)).await;
        assert!((0..6).all(|_| nodes.in_order()[2] == 0));
        advance(Duration::from_millis(200)).await;
        assert_eq!((0..6).filter(|_| nodes.in_order()[0] == 0).count(), 1, "a single request tries it");
        assert!(nodes.answered(0), "it was suspect before");
        assert!(!nodes.answered(0));
        assert_eq!((0..6).filter(|_| nodes.in_order()[0] == 0).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_failed_all_are_asked() {
        let nodes = nodes(3);
        (0..3).for_each(|index| _ = nodes.failed(index));
        let mut order = nodes.in_order();
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
        for _ in 0..100 {
            nodes.failed(1);
        }
        advance(PENALTY_MAX + Duration::from_millis(100)).await;
        assert!((0..3).any(|_| nodes.in_order()[0] == 1), "no penalty is longer than the longest");
    }
}
