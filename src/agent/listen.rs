//! Binding, on this machine's loopback alone: the agent speaks plain HTTP.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Whether nobody outside this machine can reach the address.
pub fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Binds a loopback address.
///
/// # Errors
/// `InvalidInput` for any other address; otherwise as the system says.
pub async fn bind_loopback(address: SocketAddr) -> io::Result<TcpListener> {
    if !is_loopback(address) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is not a loopback address")));
    }
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_is_bound() {
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let error = bind_loopback(open.parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{open}");
        }
        assert!(is_loopback("127.9.9.9:1".parse().unwrap()) && is_loopback("[::1]:1".parse().unwrap()));
        let bound = bind_loopback("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert!(is_loopback(bound.local_addr().unwrap()));
    }
}
