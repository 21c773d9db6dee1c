//! Who is connected to one endpoint, and what a revocation or a change of CAs does to them.
//!
//! A connection is entered here after its handshake and judged once more then: whatever changed during the handshake either
//! found it entered, or is seen by that second look. So no connection slips between a change and those that it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use claviger_types::{Identity, RevocationFlag};
use parking_lot::Mutex;
use rustls::CertificateError;
use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;

use crate::crl::{CertificateName, RevokedCertificates};

/// A chain as the other side presented it, leaf first.
pub(crate) type Chain = [CertificateDer<'static>];

/// The connections of one endpoint and the certificates that it does not honour.
#[derive(Debug)]
pub(crate) struct LiveConnections {
    endpoint: &'static str,
    revoked: ArcSwap<RevokedCertificates>,
    next: AtomicU64,
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    chain: Box<Chain>,
    /// Who a client was found to be; of a server, nobody asked.
    identity: Option<Identity>,
    names: Box<[CertificateName]>,
    flag: RevocationFlag,
    ended: Notify,
}

impl LiveConnections {
    pub(crate) fn new(endpoint: &'static str) -> Arc<Self> {
        Arc::new(Self { endpoint, revoked: ArcSwap::default(), next: AtomicU64::new(0), entries: Mutex::default() })
    }

    /// Whose connections they are, in logs and metrics.
    pub(crate) const fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// Honours these certificates no longer: when this returns, every connection of theirs is marked.
    pub(crate) fn revoke(&self, revoked: &Arc<RevokedCertificates>) {
        self.revoked.store(Arc::clone(revoked));
        self.end("revoked", |entry| entry.names.iter().any(|name| revoked.contains(name)));
    }

    /// Marks the connections whose chain is not honoured any more, or makes somebody else of their holder.
    pub(crate) fn verify_again(&self, holds: impl Fn(&Chain, Option<&Identity>) -> bool) {
        self.end("untrusted", |entry| !holds(&entry.chain, entry.identity.as_ref()));
    }

    fn end(&self, reason: &'static str, ends: impl Fn(&Entry) -> bool) {
        // Outside the lock, since verifying takes time; who comes meanwhile judges itself.
        let all: Vec<Arc<Entry>> = self.entries.lock().values().cloned().collect();
        let ended = all.into_iter().filter(|entry| !entry.flag.is_set() && ends(entry));
        let count = ended.inspect(|entry| entry.end()).count();
        if count > 0 {
            metrics::counter!("claviger_tls_connections_ended_total", "listener" => self.endpoint, "reason" => reason)
                .increment(count as u64);
            tracing::info!(
                listener = self.endpoint,
                connections = count,
                reason,
                "live connections ended: their certificates are not honoured"
            );
        }
    }

    /// Refuses a chain with a revoked certificate in it.
    pub(crate) fn check<'a, 'b: 'a>(&self, chain: impl IntoIterator<Item = &'a CertificateDer<'b>>) -> Result<(), rustls::Error> {
        let revoked = self.revoked.load();
        let refuse = |error| Err(rustls::Error::InvalidCertificate(error));
        for certificate in chain {
            match CertificateName::of(certificate) {
                Some(name) if revoked.contains(&name) => return refuse(CertificateError::Revoked),
                Some(_) => {}
                None => return refuse(CertificateError::BadEncoding),
            }
        }
        Ok(())
    }

    /// Enters a connection. The caller must still ask whether its chain verifies if the CAs have changed meanwhile.
    pub(crate) fn enter(self: &Arc<Self>, chain: &Chain, identity: Option<Identity>) -> Result<LiveConnection, rustls::Error> {
        let names = chain.iter().map(|certificate| CertificateName::of(certificate)).collect::<Option<_>>();
        let names = names.ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let entry = Arc::new(Entry { chain: chain.into(), identity, names, flag: RevocationFlag::default(), ended: Notify::new() });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.entries.lock().insert(number, Arc::clone(&entry));
        let live = LiveConnection { number, entry, of: Arc::clone(self) };
        self.check(chain)?;
        Ok(live)
    }
}

impl Entry {
    fn end(&self) {
        self.flag.set();
        self.ended.notify_waiters();
    }
}

/// A connection's place; it leaves when dropped.
#[derive(Debug)]
pub(crate) struct LiveConnection {
    number: u64,
    entry: Arc<Entry>,
    of: Arc<LiveConnections>,
}

impl LiveConnection {
    /// Set once its certificate is not honoured any more.
    pub(crate) fn flag(&self) -> &RevocationFlag {
        &self.entry.flag
    }

    /// Waits until its certificate is not honoured any more.
    pub(crate) async fn ended(&self) {
        let ended = self.entry.ended.notified();
        // It hears of all that comes after it was made; what came before is asked for here.
        if !self.entry.flag.is_set() {
            ended.await;
        }
    }
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        self.of.entries.lock().remove(&self.number);
    }
}
