//! Proxies by name, and the orders that a test in another language gives: a line of JSON each, and a line for an answer.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Faults, Proxy};

/// So many proxies are enough for five regions of five nodes, each seen from each.
const PROXIES_MAX: usize = 1024;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A new proxy, or the one of this name, if it has this target.
    Add {
        /// What it is called.
        name: String,
        /// Where it connects to.
        target: SocketAddr,
    },
    /// Changes what happens, at every proxy whose name starts so.
    Set {
        /// The beginning of their names; empty for all.
        prefix: String,
        /// What happens there from now on.
        faults: Faults,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The proxy listens here.
    Listens(SocketAddr),
    /// So many proxies do so now.
    Changed(usize),
    /// Nothing was done.
    Error(String),
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// The name has another target.
    #[error("{0} is a proxy of another target")]
    OtherTarget(String),
    /// There are as many proxies as there may be.
    #[error("there are {PROXIES_MAX} proxies already")]
    TooMany,
    /// Nowhere to listen.
    #[error("the proxy cannot listen")]
    Listen(#[source] io::Error),
}

/// Every proxy by its name.
#[derive(Debug, Default)]
pub struct Proxies(BTreeMap<String, (SocketAddr, Proxy)>);

impl Proxies {
    /// Where the proxy of this name listens, a new one if there is none.
    ///
    /// # Errors
    /// See [`ChaosError`].
    pub async fn add(&mut self, name: &str, target: SocketAddr) -> Result<SocketAddr, ChaosError> {
        if let Some((known, proxy)) = self.0.get(name) {
            return if *known == target { Ok(proxy.address()) } else { Err(ChaosError::OtherTarget(name.to_owned())) };
        }
        if self.0.len() >= PROXIES_MAX {
            return Err(ChaosError::TooMany);
        }
        let proxy = Proxy::start(target, Faults::default()).await.map_err(ChaosError::Listen)?;
        let address = proxy.address();
        self.0.insert(name.to_owned(), (target, proxy));
        Ok(address)
    }

    /// Changes what happens at every proxy whose name starts with `prefix`. Says how many those are.
    pub fn set(&self, prefix: &str, faults: Faults) -> usize {
        let named = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, (_, proxy))| proxy.set(faults)).count()
    }

    /// Carries out one order.
    pub async fn obey(&mut self, request: Request) -> Response {
        match request {
            Request::Add { name, target } => {
                self.add(&name, target).await.map_or_else(|error| Response::Error(error.to_string()), Response::Listens)
            }
            Request::Set { prefix, faults } => Response::Changed(self.set(&prefix, faults)),
        }
    }
}
