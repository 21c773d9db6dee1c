//! Reads the bodies of requests and answers into memory that is bounded and zeroized.
//!
//! A body may hold plaintext. It is copied once, out of the connection's buffer, into memory that grows by allocating
//! anew, so that no copy is left behind; the buffer's bytes are wiped where this body alone holds them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::{Zeroize, Zeroizing};

/// What a client's Content-Length alone may reserve.
const TRUSTED_BYTES_MAX: usize = 16 * 1024;
/// The grain in which memory is counted.
const GRAIN_BYTES: usize = 1024;

/// A body that was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than one body may have.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke.
    #[error("the body broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// All bodies together would take more memory than they may.
    #[error("too many bodies are being read")]
    NoRoom,
}

/// All bodies being read, and what they may take together.
pub struct Bodies {
    grains: Arc<Semaphore>,
    bytes_max: usize,
    timeout: Duration,
}

/// A whole body; its share of the memory is given back when it is dropped.
pub struct Received {
    bytes: Zeroizing<Vec<u8>>,
    share: Option<OwnedSemaphorePermit>,
}

impl Received {
    /// The same memory as something that can be sent, any number of times; it is wiped when the last user lets go.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// `bytes_max` for one body, `total_bytes_max` for all, `timeout` for the arrival of one.
    pub fn new(bytes_max: usize, total_bytes_max: usize, timeout: Duration) -> Self {
        let grains = (total_bytes_max / GRAIN_BYTES).min(Semaphore::MAX_PERMITS);
        Self { grains: Arc::new(Semaphore::new(grains)), bytes_max, timeout }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn read<B>(&self, body: B) -> Result<Received, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // A body that is there already never touches the timer.
        tokio::time::timeout(self.timeout, self.collect(body)).await.map_err(|_| BodyError::TooSlow)?
    }

    async fn collect<B>(&self, mut body: B) -> Result<Received, BodyError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.bytes_max {
            return Err(BodyError::TooLarge(self.bytes_max));
        }
        let mut received = Received { bytes: Zeroizing::new(Vec::new()), share: None };
        self.reserve(&mut received, announced.min(TRUSTED_BYTES_MAX))?;
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame.map_err(|broken| BodyError::Broken(broken.into()))?.into_data() else { continue };
            let length = received.bytes.len() + chunk.len();
            if length > self.bytes_max {
                return Err(BodyError::TooLarge(self.bytes_max));
            }
            self.reserve(&mut received, length)?;
            received.bytes.extend_from_slice(&chunk);
            wipe(chunk);
        }
        Ok(received)
    }

    /// Makes room for `length` bytes in all.
    fn reserve(&self, received: &mut Received, length: usize) -> Result<(), BodyError> {
        let capacity = received.bytes.capacity();
        if length <= capacity {
            return Ok(());
        }
        let wanted = length.max(2 * capacity).min(self.bytes_max.max(length));
        let grains = wanted.div_ceil(GRAIN_BYTES) - received.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let grains = u32::try_from(grains).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.grains).try_acquire_many_owned(grains).map_err(|_| BodyError::NoRoom)?;
        match &mut received.share {
            Some(share) => share.merge(more),
            none => *none = Some(more),
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(wanted));
        bytes.extend_from_slice(&received.bytes);
        received.bytes = bytes;
        Ok(())
    }
}

fn wipe(chunk: Bytes) {
    if let Ok(mut alone) = chunk.try_into_mut() {
        alone.as_mut().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;

    use super::*;

    fn bodies(bytes_max: usize, total: usize) -> Bodies {
        Bodies::new(bytes_max, total, Duration::from_millis(20))
    }

    fn chunked(chunks: Vec<Vec<u8>>) -> Body {
        Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)))
    }

    #[tokio::test]
    async fn whole_bodies_announced_or_not() {
        let bodies = bodies(100_000, 1_000_000);
        assert_eq!(&*bodies.read(Body::empty()).await.unwrap(), b"");
        assert_eq!(&*bodies.read(Body::from("abc")).await.unwrap(), b"abc");
        let chunks: Vec<Vec<u8>> = (0..100).map(|n: u8| vec![n; 777]).collect();
        assert_eq!(*bodies.read(chunked(chunks.clone())).await.unwrap(), *chunks.concat());
    }

    #[tokio::test]
    async fn one_byte_too_many() {
        let bodies = bodies(10, 1_000_000);
        assert!(bodies.read(Body::from("0123456789")).await.is_ok());
        assert!(matches!(bodies.read(Body::from("0123456789a")).await, Err(BodyError::TooLarge(10))));
        let chunks = vec![b"01234".to_vec(), b"56789".to_vec(), b"a".to_vec()];
        assert!(matches!(bodies.read(chunked(chunks)).await, Err(BodyError::TooLarge(10))));
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_cut() {
        let endless = Body::from_stream(futures::StreamExt::chain(
            stream::iter([Ok::<_, std::io::Error>("begin")]),
            stream::pending::<Result<&str, std::io::Error>>(),
        ));
        assert!(matches!(bodies(10, 10_000).read(endless).await, Err(BodyError::TooSlow)));
        let broken = Body::from_stream(stream::iter([Ok("begin"), Err(std::io::Error::other("reset"))]));
        assert!(matches!(bodies(10, 10_000).read(broken).await, Err(BodyError::Broken(_))));
    }

    #[tokio::test]
    async fn memory_is_shared_and_given_back() {
        let bodies = bodies(8 * 1024, 8 * 1024);
        let held = bodies.read(Body::from(vec![1; 6 * 1024])).await.unwrap();
        assert!(matches!(bodies.read(Body::from(vec![1; 3 * 1024])).await, Err(BodyError::NoRoom)));
        assert!(bodies.read(Body::from(vec![1; 1024])).await.is_ok());
        drop(held);
        let whole = bodies.read(chunked(vec![vec![1; 1024]; 8])).await.unwrap();
        assert_eq!(whole.len(), 8 * 1024);
        drop(whole);
        assert_eq!(bodies.grains.available_permits(), 8);
    }
}
