//! One HTTP/1.1 connection, as cheap as it can be: a request is bytes that were made before, an answer is its status and
//! its body in place. hyper's client would need a task of its own beside each connection.
//!
//! It reads what the api listener answers and no more of HTTP: an answer has a length and comes whole.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Most answers fit, so the buffer grows once or never.
const BUFFER_BYTES: usize = 8 * 1024;
/// A longer answer is a fault.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 32;

/// Why there is no answer; the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// It ended before the answer did.
    #[error("closed")]
    Closed,
    /// Not an answer that this client reads.
    #[error("malformed")]
    Malformed,
}

/// A connection and the last answer that came over it.
pub(crate) struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
    body: std::ops::Range<usize>,
}

/// Where an answer lies in the buffer.
struct Head {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; BUFFER_BYTES], body: 0..0 }
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<u16, Broken> {
        self.body = 0..0;
        self.stream.write_all(request).await.map_err(|_| Broken::Closed)?;
        self.stream.flush().await.map_err(|_| Broken::Closed)?;
        let mut filled = 0;
        let mut head: Option<Head> = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize((2 * filled).min(ANSWER_BYTES_MAX + 1), 0);
            }
            match self.stream.read(&mut self.buffer[filled..]).await {
                Ok(0) | Err(_) => return Err(Broken::Closed),
                Ok(more) => filled += more,
            }
            if head.is_none() {
                head = parse(&self.buffer[..filled])?;
            }
            if let Some(Head { status, head_bytes, body_bytes }) = head {
                let whole = head_bytes.saturating_add(body_bytes);
                if whole > ANSWER_BYTES_MAX || filled > whole {
                    return Err(Broken::Malformed);
                }
                if filled == whole {
                    self.body = head_bytes..whole;
                    return Ok(status);
                }
            } else if filled > ANSWER_BYTES_MAX {
                return Err(Broken::Malformed);
            }
        }
    }

    /// The body of the last answer; empty when there is none.
    pub(crate) fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }
}

/// The head of an answer, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<Head>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = answer.parse(bytes).map_err(|_| Broken::Malformed)? else { return Ok(None) };
    let length = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body_bytes = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    match (answer.code, body_bytes) {
        (Some(status), Some(body_bytes)) => Ok(Some(Head { status, head_bytes, body_bytes })),
        _ => Err(Broken::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Answers one request with these pieces, then closes.
    async fn exchange(pieces: &[&[u8]]) -> (Result<u16, Broken>, Vec<u8>) {
        let (near, mut far) = duplex(64);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let server = tokio::spawn(async move {
            let mut request = [0; 4];
            far.read_exact(&mut request).await.unwrap();
            for piece in pieces {
                // The client hangs up on what it does not read.
                if far.write_all(&piece).await.is_err() {
                    break;
                }
            }
        });
        let mut connection = Connection::new(near);
        let status = connection.exchange(b"ping").await;
        let body = connection.body().to_vec();
        drop(connection);
        server.await.unwrap();
        (status, body)
    }

    #[tokio::test]
    async fn answers_whole_and_in_pieces() {
        let whole = exchange(&[b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"]).await;
        assert_eq!(whole, (Ok(200), b"hello".to_vec()));
        let pieces = exchange(&[b"HTTP/1.1 40", b"0 Bad\r\nContent-Length: 5\r\n", b"\r\nhe", b"llo"]).await;
        assert_eq!(pieces, (Ok(400), b"hello".to_vec()));
        let empty = exchange(&[b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]).await;
        assert_eq!(empty, (Ok(200), Vec::new()));
        let long = vec![b'x'; 3 * BUFFER_BYTES];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
        assert_eq!(exchange(&[head.as_bytes(), &long]).await, (Ok(200), long));
    }

    #[tokio::test]
    async fn what_is_not_an_answer() {
        for malformed in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        ] {
            assert_eq!(exchange(&[malformed]).await.0, Err(Broken::Malformed), "{}", String::from_utf8_lossy(malformed));
        }
        assert_eq!(exchange(&[]).await.0, Err(Broken::Closed));
        assert_eq!(exchange(&[b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"]).await.0, Err(Broken::Closed));
    }
}
