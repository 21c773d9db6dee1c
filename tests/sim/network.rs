//! The simulated network in the place of TCP and TLS: whoever is at the other end of a connection is known by its host.

use std::io;
use std::net::SocketAddr;

use claviger_tls::{ConnectError, Connected, Connector, Listener};
use claviger_types::Identity;
use futures::future::{BoxFuture, FutureExt};
use turmoil::net::{TcpListener, TcpStream};

use crate::plan::identity_of;

/// Connects to hosts by their names.
pub(crate) struct SimulatedNetwork;

impl Connector for SimulatedNetwork {
    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        async move {
            let peer = identity_of(&host).ok_or(ConnectError::Endpoint)?;
            let stream = TcpStream::connect((host.as_str(), port)).await.map_err(ConnectError::Tcp)?;
            Connected::over(stream, peer, None).await
        }
        .boxed()
    }
}

/// A listener of a simulated host.
pub(crate) struct SimulatedListener(TcpListener);

impl SimulatedListener {
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        TcpListener::bind(("0.0.0.0", port)).await.map(Self)
    }
}

impl Listener for SimulatedListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, address) = self.0.accept().await?;
        Ok((stream, Some(address)))
    }
}

/// Who calls from an address.
pub(crate) fn caller(address: SocketAddr) -> Option<Identity> {
    identity_of(&turmoil::reverse_lookup(address.ip())?)
}
