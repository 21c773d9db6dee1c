//! A node's certificates: its three endpoints, kept loaded while it runs, and told which certificates are revoked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claviger_state::CrlRecord;
use claviger_tls::{
    Admission, CaId, Certificate, ClientTls, Crl, CrlError, IdentityFiles, Reloadable, RevokedCertificates, ServerTls, Stamps, TlsError,
    keep_loaded,
};
use claviger_types::{Clock, SystemClock, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::config::Config;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is said that a revocation list has expired.
const EXPIRY_LOOK: Duration = Duration::from_secs(60 * 60);

/// What a node presents and whom it honours, on each of its endpoints.
pub(crate) struct NodeTls {
    pub(crate) api: Arc<ServerTls>,
    pub(crate) peer: Arc<ServerTls>,
    pub(crate) peer_client: ClientTls,
    /// The configuration, from which the api listener's client CAs come.
    config: (PathBuf, Stamps),
    /// Issuer and next update of every list in force.
    due: Mutex<Vec<(String, Timestamp)>>,
}

impl NodeTls {
    /// Loads the configured files.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub(crate) fn load(config: &Config) -> Result<Self, TlsError> {
        let (domain, tls) = (&config.trust_domain, &config.tls);
        let api = IdentityFiles::new(&tls.api_certificate, &tls.api_key);
        let peer = IdentityFiles::new(&tls.peer_certificate, &tls.peer_key);
        Ok(Self {
            api: Arc::new(ServerTls::api(&api, config.client_cas.clone(), domain)?),
            peer: Arc::new(ServerTls::load(&peer, &tls.peer_ca, domain, Admission::Peer)?),
            peer_client: ClientTls::peer(&peer, &tls.peer_ca, domain)?,
            config: (config.file.clone(), config.read_from.clone()),
            due: Mutex::default(),
        })
    }

    /// Honours what these lists revoke no longer: not on new connections, nor on live ones once this has returned.
    ///
    /// # Errors
    /// When a list does not parse. Nothing has changed then, and the node must stop.
    pub(crate) fn enforce(&self, records: &[CrlRecord]) -> Result<(), CrlError> {
        let crls = records.iter().map(|record| Crl::parse(&record.der)).collect::<Result<Vec<_>, _>>()?;
        let revoked = Arc::new(RevokedCertificates::of(&crls));
        self.api.revoke(&revoked);
        self.peer.revoke(&revoked);
        self.peer_client.revoke(&revoked);
        for crl in &crls {
            let issuer = crl.issuer().to_owned();
            info!(issuer, revoked = crl.revoked(), next_update = %crl.next_update(), "revocation list in force");
            metrics::gauge!("claviger_crl_next_update_seconds", "issuer" => issuer.clone()).set(crl.next_update().as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "a list names some thousands")]
            metrics::gauge!("claviger_crl_revoked_certificates", "issuer" => issuer).set(crl.revoked() as f64);
        }
        *self.due.lock() = crls.iter().map(|crl| (crl.issuer().to_owned(), crl.next_update())).collect();
        self.warn_of_expired_lists();
        Ok(())
    }

    /// Which of the CAs of this node's listeners signed a list.
    ///
    /// # Errors
    /// When none did, or the list cannot be enforced.
    pub(crate) fn signer_of(&self, crl: &Crl) -> Result<CaId, CrlError> {
        match self.api.signer_of(crl) {
            Err(CrlError::UnknownSigner(_)) => self.peer.signer_of(crl),
            outcome => outcome,
        }
    }

    /// Loads files that change, all of them whenever `at_once` is notified, until `shutdown`.
    pub(crate) async fn keep(&self, at_once: Arc<Notify>, mut shutdown: watch::Receiver<bool>) {
        let endpoints: Vec<Arc<dyn Reloadable>> = vec![
            Arc::new(ApiListener::new(&self.api, &self.config)) as Arc<dyn Reloadable>,
            Arc::clone(&self.peer) as Arc<dyn Reloadable>,
            Arc::new(self.peer_client.clone()),
        ];
        let watch_lists = async {
            loop {
                tokio::time::sleep(EXPIRY_LOOK).await;
                self.warn_of_expired_lists();
            }
        };
        tokio::select! {
            () = keep_loaded(endpoints, LOOK, at_once, shutdown.clone()) => {}
            () = watch_lists => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    fn warn_of_expired_lists(&self) {
        let now = SystemClock.now();
        for (issuer, next_update) in self.due.lock().iter().filter(|(_, next_update)| *next_update < now) {
            warn!(issuer, %next_update, "a revocation list has expired; it stays in force: make a new one and publish it");
        }
    }
}

/// The api listener's files and, in the configuration, what its client CAs may say. Nothing else of a configuration that
/// has changed is taken up before a restart.
struct ApiListener {
    tls: Arc<ServerTls>,
    config: PathBuf,
    read_from: Mutex<Stamps>,
}

impl ApiListener {
    fn new(tls: &Arc<ServerTls>, (config, read_from): &(PathBuf, Stamps)) -> Self {
        Self { tls: Arc::clone(tls), config: config.clone(), read_from: Mutex::new(read_from.clone()) }
    }
}

impl Reloadable for ApiListener {
    fn name(&self) -> &'static str {
        self.tls.name()
    }

    fn loaded_from(&self) -> Stamps {
        self.read_from.lock().clone().and(self.tls.loaded_from())
    }

    fn reload(&self) -> Result<(), TlsError> {
        let config = Config::load(&self.config).map_err(|error| TlsError::Bindings(Box::new(error)))?;
        self.tls.rebind(config.client_cas)?;
        *self.read_from.lock() = config.read_from;
        Ok(())
    }

    fn certificate(&self) -> Certificate {
        self.tls.certificate()
    }
}
