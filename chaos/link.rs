//! One proxy: a listener, and its connections to one target.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::Faults;

/// What is read at once.
const CHUNK_BYTES: usize = 16 << 10;
/// Chunks on their way in one direction: a MiB, so that a slow line is slow and not narrow.
const CHUNKS_MAX: usize = 64;
/// How long the target may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A proxy of one target. It ends, and breaks its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of the loopback interface that the system chooses.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(target: SocketAddr, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (faults, seen) = watch::channel(faults);
        Ok(Self { address, faults, accepting: tokio::spawn(accept(listener, target, seen)) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens from now on, to connections that live too.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, faults: watch::Receiver<Faults>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was given up before it was accepted is nobody's.
                let Ok((client, _)) = accepted else { continue };
                links.spawn(carry(client, target, faults.clone()));
            }
            Some(_) = links.join_next() => {}
        }
    }
}

/// Carries one connection to its end.
async fn carry(client: TcpStream, target: SocketAddr, mut faults: watch::Receiver<Faults>) {
    if faults.borrow().refuse {
        return reset(&client);
    }
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await;
    let Ok(Ok(server)) = connected else { return reset(&client) };
    // Small writes are what both ends mean to send now.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let Faults { jitter_ms, reset_after_bytes, .. } = *faults.borrow();
    let late = Duration::from_millis(if jitter_ms == 0 { 0 } else { fastrand::u64(0..=jitter_ms) });
    let bytes_left = reset_after_bytes.map(|bytes| bytes.saturating_add(fastrand::u64(0..=bytes)));
    let budget = bytes_left.map(|left| Arc::new(AtomicI64::new(i64::try_from(left).unwrap_or(i64::MAX))));

    let (mut client, mut server) = (client, server);
    let outcome = {
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let forward = pass(client_reads, server_writes, faults.clone(), |faults| faults.stall_forward, late, budget.clone());
        let backward = pass(server_reads, client_writes, faults.clone(), |faults| faults.stall_backward, late, budget);
        tokio::select! {
            both = async { tokio::try_join!(forward, backward) } => both.map(|_| ()),
            refused = faults.wait_for(|faults| faults.refuse) => refused.map(drop).map_err(|_| broken()).and(Err(broken())),
        }
    };
    if outcome.is_err() {
        reset(&client);
        reset(&server);
    }
}

/// One direction. Reading goes on while what was read is still on its way.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    faults: watch::Receiver<Faults>,
    stalls: impl Fn(&Faults) -> bool,
    late: Duration,
    budget: Option<Arc<AtomicI64>>,
) -> io::Result<()> {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let mut arrives = faults.clone();
    let reading = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = from.read(&mut chunk).await?;
            let delay = Duration::from_millis(faults.borrow().delay_ms) + late;
            // An empty chunk is the end of the stream, which is late too.
            if send.send((Instant::now() + delay, chunk[..count].to_vec())).await.is_err() || count == 0 {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = receive.recv().await {
            tokio::time::sleep_until(due).await;
            arrives.wait_for(|faults| !stalls(faults)).await.map_err(|_| broken())?;
            if chunk.is_empty() {
                return to.shutdown().await;
            }
            let spent = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
            if budget.as_ref().is_some_and(|left| left.fetch_sub(spent, Ordering::Relaxed) < spent) {
                return Err(broken());
            }
            to.write_all(&chunk).await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing).map(|_| ())
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Closed without a goodbye: the other end sees a reset.
fn reset(stream: &TcpStream) {
    // Where it cannot be set, the end comes politely.
    let _ = stream.set_zero_linger();
}
