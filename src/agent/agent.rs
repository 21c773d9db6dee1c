//! The agent as a whole: what it was told, what it has loaded, and its parts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use claviger_sigv4::{AccessKeyId, SecretAccessKey};
use claviger_tls::{Bodies, Stamps};
use claviger_types::limits::API_BODY_BYTES_MAX;
use claviger_types::{Clock, Region};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::credentials::{self, AccessKey};
use crate::identity::Identity;
use crate::meter::Meter;
use crate::nodes::Nodes;
use crate::settings::Settings;
use crate::{AgentError, proxy};

/// Memory that the bodies of all requests may take while they are worked on.
const REQUEST_BYTES_TOTAL: usize = 64 * 1024 * 1024;
/// Largest answer: a page of the largest lists that the model has.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
const ANSWER_BYTES_TOTAL: usize = 64 * 1024 * 1024;
/// How long one body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What an access key stands for.
pub(crate) struct Holder {
    pub(crate) secret: SecretAccessKey,
    /// The identity's place in the configuration.
    pub(crate) identity: usize,
}

pub(crate) type Keys = HashMap<AccessKeyId, Holder>;

/// See the module.
pub struct Agent {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    /// By place in the configuration, as `identities`.
    pub(crate) regions: Vec<Nodes>,
    pub(crate) identities: Vec<Arc<Identity>>,
    pub(crate) keys: ArcSwap<Keys>,
    pub(crate) requests: Bodies,
    pub(crate) answers: Bodies,
    pub(crate) in_flight: Semaphore,
    pub(crate) meter: Meter,
    /// The credentials file as it was before the keys were loaded.
    pub(crate) keys_from: Stamps,
}

impl Agent {
    /// Loads access keys and certificates; makes no connection yet. Install the metrics recorder first.
    ///
    /// # Errors
    /// When a file cannot be used, or a node's URL is none.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        let load = |identity| Identity::load(identity, &settings).map(Arc::new);
        let identities = settings.identities.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let keys_from = Stamps::of([&*settings.credentials]);
        let keys = load_keys(&settings)?;
        if keys.is_empty() {
            warn!("there is no access key yet, so every request is refused: make one with `claviger agent access-key create`");
        }
        Ok(Self {
            clock,
            regions: settings.regions.iter().map(|region| Nodes::new(region.name.clone(), region.nodes.len())).collect(),
            identities,
            keys: ArcSwap::from_pointee(keys),
            requests: Bodies::new(API_BODY_BYTES_MAX, REQUEST_BYTES_TOTAL, BODY_TIMEOUT),
            answers: Bodies::new(ANSWER_BYTES_MAX, ANSWER_BYTES_TOTAL, BODY_TIMEOUT),
            in_flight: Semaphore::new(settings.limits.requests_in_flight.min(Semaphore::MAX_PERMITS)),
            meter: Meter::new(settings.regions.iter().map(|region| &region.name)),
            keys_from,
            settings,
        })
    }

    /// The API, for plain listeners on this machine.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        proxy::router(Arc::clone(self))
    }

    /// Takes the access keys from their file anew.
    pub(crate) fn reload_keys(&self) -> Result<(), AgentError> {
        let keys = load_keys(&self.settings)?;
        info!(access_keys = keys.len(), "access keys loaded");
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// A region's place in the configuration.
    pub(crate) fn place_of(&self, region: &Region) -> Option<usize> {
        self.regions.iter().position(|nodes| nodes.region() == region)
    }
}

fn load_keys(settings: &Settings) -> Result<Keys, AgentError> {
    let mut keys = Keys::new();
    for AccessKey { id, secret, identity, .. } in credentials::read(&settings.credentials)? {
        match settings.identities.iter().position(|known| known.name == identity) {
            Some(identity) => _ = keys.insert(id, Holder { secret, identity }),
            None => warn!(access_key_id = %id, identity, "an access key of an identity that is not configured is not accepted"),
        }
    }
    Ok(keys)
}
