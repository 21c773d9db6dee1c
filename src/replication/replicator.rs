//! [`Replicator`]: what the root wires, and the work of a leader.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use claviger_barrier::Barrier;
use claviger_consensus::Region;
use claviger_state::read;
use claviger_types::Region as RegionName;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::caller::Caller;
use crate::core::Core;
use crate::numbers::gauge_lag;
use crate::peers::lag_of;
use crate::sealing::Sealing;
use crate::shipper::{Kind, Shipper};
use crate::transport::with_sources;
use crate::{ReplicaAuthority, ReplicationConfig, ReplicationError, Transport, receiver, reservations};

/// Replication of one node. Every node answers its router and its calls; only the leader ships.
pub struct Replicator<R> {
    pub(crate) core: Arc<Core<R>>,
    leadership: watch::Receiver<bool>,
    wake: Arc<Notify>,
}

impl<R: Region> Replicator<R> {
    /// `leadership` says whether this node leads its region; `wake` is notified (`notify_one`) by whoever observes that
    /// the dirty set grew.
    pub fn new(
        config: ReplicationConfig,
        region: Arc<R>,
        barrier: Arc<Barrier>,
        transport: Arc<dyn Transport>,
        leadership: watch::Receiver<bool>,
        wake: Arc<Notify>,
    ) -> Self {
        let config = config.bounded();
        let caller = Caller::new(transport, config.request_timeout);
        let core = Core { config, region, sealing: Sealing::new(barrier), caller };
        Self { core: Arc::new(core), leadership, wake }
    }

    /// The routes for the peer listener; `authority` decides about the replicas that peers ask for.
    pub fn router(&self, authority: Arc<dyn ReplicaAuthority>) -> Router {
        receiver::router(Arc::clone(&self.core), authority)
    }

    /// Ships while this node leads its region, until `shutdown` becomes true or its sender is dropped.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let mut leadership = self.leadership.clone();
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = self.follow_leadership(&mut leadership) => {}
        }
    }

    async fn follow_leadership(&self, leadership: &mut watch::Receiver<bool>) {
        while leadership.wait_for(|leads| *leads).await.is_ok() {
            tokio::select! {
                _ = leadership.wait_for(|leads| !*leads) => {}
                () = self.lead() => {}
            }
        }
    }

    /// The shippers of each peer, the care for reservations, and the gauges. Dropping this future ends all of it.
    async fn lead(&self) {
        let config = &self.core.config;
        let (waker, woken) = watch::channel(0_u64);
        let mut shipped_to = Gauged::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(reservations::care(Arc::clone(&self.core)));
        let mut rescan = tokio::time::interval_at(Instant::now(), config.rescan_interval);
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = rescan.tick() => match self.look_at_peers(&mut shipped_to) {
                    Ok(new) => for peer in new {
                        for kind in [Kind::Documents, Kind::Statuses] {
                            tasks.spawn(Shipper::new(Arc::clone(&self.core), peer.clone(), kind, woken.clone()).run());
                        }
                    },
                    Err(error) => tracing::error!(error = %with_sources(&error), "replication cannot read its peers"),
                },
                Some(ended) = tasks.join_next() => {
                    // None of them ends by itself: start all of them anew rather than go on without one.
                    tracing::error!(?ended, "a replication task ended; all of them start again");
                    tokio::time::sleep(config.backoff_max).await;
                    return;
                }
            }
            waker.send_modify(|changes| *changes = changes.wrapping_add(1));
        }
    }

    /// Sets the gauges of every peer; the peers that are new.
    fn look_at_peers(&self, known: &mut Gauged) -> Result<Vec<RegionName>, ReplicationError> {
        let (tables, now) = (self.core.region.tables(), self.core.region.log_time()?);
        let mut new = Vec::new();
        for peer in read::peers(&tables)? {
            let (dirty, lag) = lag_of(&tables, &peer.region, now)?;
            gauge_lag(&peer.region, dirty, lag);
            if known.0.insert(peer.region.clone()) {
                new.push(peer.region);
            }
        }
        Ok(new)
    }
}

/// The peers whose gauges this node sets. A node that leads no more shows zero, so that the sum over a region's nodes is
/// the leader's value.
#[derive(Default)]
struct Gauged(HashSet<RegionName>);

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.iter().for_each(|peer| gauge_lag(peer, 0, std::time::Duration::ZERO));
    }
}
