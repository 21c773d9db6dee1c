//! The region itself: its founding, its peers.

use claviger_types::limits::{PEER_ENDPOINTS_MAX, REGIONS_MAX};

use super::Step;
use crate::{AddPeer, FoundRegion, Outcome, PeerRecord, Refusal, RegionKeysRecord, RegionRecord, Response, StateError, read};

impl Step<'_> {
    pub(super) fn found_region(&mut self, found: &FoundRegion) -> Result<Outcome, StateError> {
        if read::region(&self.tables)?.is_some() {
            return Ok(Err(Refusal::AlreadyFounded));
        }
        let record = RegionRecord {
            region: found.region.clone(),
            partition: found.partition.clone(),
            trust_domain: found.trust_domain.clone(),
            cluster_id: found.cluster_id,
            incarnation: found.incarnation,
            keyring: found.keyring.clone(),
            restored: None,
        };
        self.tables.put(RegionRecord::ROW, &record)?;
        self.tables.put(RegionKeysRecord::ROW, &found.region_keys)?;
        Ok(Ok(Response::Done))
    }

    pub(super) fn add_peer(&mut self, me: &RegionRecord, add: &AddPeer) -> Result<Outcome, StateError> {
        let refuse = |reason: &str| Ok(Err(Refusal::BadPeer(reason.to_owned())));
        if add.region == me.region {
            return refuse("a region cannot be its own peer");
        }
        if add.cluster_id == me.cluster_id {
            return refuse("it is this very cluster");
        }
        if add.endpoints.is_empty() || add.endpoints.len() > PEER_ENDPOINTS_MAX {
            return refuse("it needs 1 to 16 endpoints");
        }
        let known = read::peer(&self.tables, &add.region)?;
        if let Some(known) = &known {
            if known.cluster_id != add.cluster_id {
                return refuse("another cluster is known under this region's name");
            }
            if known.incarnation != add.incarnation {
                return refuse("it has been restored since it was added; admitting a restored region is not implemented yet");
            }
            // A new key would have to be signed by the old one (DESIGN.md section 6), and regions do not change theirs yet.
            if known.keys != add.keys {
                return refuse("it is known by other public keys");
            }
        } else if read::peers(&self.tables)?.len() + 1 >= REGIONS_MAX {
            return Ok(Err(Refusal::TooManyRegions));
        }
        let peer = PeerRecord {
            region: add.region.clone(),
            cluster_id: add.cluster_id,
            incarnation: add.incarnation,
            endpoints: add.endpoints.clone(),
            keys: add.keys.clone(),
            accounts: add.accounts.clone(),
            added_at: known.as_ref().map_or(self.now, |known| known.added_at),
        };
        let changed = known.as_ref() != Some(&peer);
        if changed {
            self.tables.put(add.region.as_str().as_bytes(), &peer)?;
        }
        self.effects.dirty = true;
        Ok(Ok(Response::Peer { peer: Box::new(peer), changed }))
    }
}
