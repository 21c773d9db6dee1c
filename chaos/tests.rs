//! Each fault, seen from both ends of a connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::{Faults, Proxies, Proxy, Request, Response};

const WITHIN: Duration = Duration::from_secs(20);
/// Long enough for what is not held back to have come.
const SILENCE: Duration = Duration::from_millis(200);

/// A server that sends everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                let _ = tokio::io::copy(&mut reads, &mut writes).await;
                let _ = writes.shutdown().await;
            });
        }
    });
    address
}

async fn proxied(faults: Faults) -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await, faults).await.unwrap();
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

async fn read_some(stream: &mut TcpStream, count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    timeout(WITHIN, stream.read_exact(&mut bytes)).await.unwrap()?;
    Ok(bytes)
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn what_is_sent_arrives_whole_and_in_order_and_so_does_its_end() {
    let (_proxy, mut stream) = proxied(Faults { delay_ms: 5, ..Faults::default() }).await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut reads, mut writes) = stream.split();
    let sending = async {
        writes.write_all(&sent).await.unwrap();
        writes.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (_, read) = timeout(WITHIN, async { tokio::join!(sending, reads.read_to_end(&mut received)) }).await.unwrap();
    read.unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn a_delay_is_kept_each_way() {
    let (_proxy, mut stream) = proxied(Faults::round_trip(Duration::from_millis(100))).await;
    let begun = Instant::now();
    stream.write_all(b"x").await.unwrap();
    read_some(&mut stream, 1).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn one_direction_falls_silent_and_goes_on_where_it_was() {
    for (forward, backward) in [(true, false), (false, true), (true, true)] {
        let (proxy, mut stream) = proxied(Faults::default()).await;
        stream.write_all(b"a").await.unwrap();
        read_some(&mut stream, 1).await.unwrap();
        proxy.set(Faults { stall_forward: forward, stall_backward: backward, ..Faults::default() });
        stream.write_all(b"bc").await.unwrap();
        assert!(is_silent(&mut stream).await);
        proxy.set(Faults::default());
        assert_eq!(read_some(&mut stream, 2).await.unwrap(), b"bc");
    }
}

#[tokio::test]
async fn refused_connections_are_reset_old_and_new() {
    let (proxy, mut stream) = proxied(Faults::default()).await;
    stream.write_all(b"a").await.unwrap();
    read_some(&mut stream, 1).await.unwrap();
    proxy.set(Faults { refuse: true, ..Faults::default() });
    assert!(read_some(&mut stream, 1).await.is_err());
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(read_some(&mut new, 1).await.is_err());
    proxy.set(Faults::default());
    let mut healed = TcpStream::connect(proxy.address()).await.unwrap();
    healed.write_all(b"b").await.unwrap();
    assert_eq!(read_some(&mut healed, 1).await.unwrap(), b"b");
}

#[tokio::test]
async fn a_connection_breaks_after_its_bytes() {
    let (_proxy, mut stream) = proxied(Faults { reset_after_bytes: Some(1000), ..Faults::default() }).await;
    let mut passed = 0;
    while stream.write_all(&[0; 100]).await.is_ok() && read_some(&mut stream, 100).await.is_ok() {
        passed += 200;
        assert!(passed <= 2000);
    }
    assert!(passed >= 800, "{passed}");
}

#[tokio::test]
async fn a_target_that_is_not_there_is_a_reset() {
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone, Faults::default()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(read_some(&mut stream, 1).await.is_err());
}

#[tokio::test]
async fn proxies_are_found_by_their_names() {
    let (mut proxies, target) = (Proxies::default(), echo().await);
    let add = |name: &str| Request::Add { name: name.to_owned(), target };
    let Response::Listens(first) = proxies.obey(add("a-b/1")).await else { panic!("no proxy") };
    assert_eq!(proxies.obey(add("a-b/1")).await, Response::Listens(first), "there already");
    proxies.obey(add("b-a/1")).await;
    let other = Request::Add { name: "a-b/1".to_owned(), target: first };
    assert!(matches!(proxies.obey(other).await, Response::Error(_)));
    let set = |prefix: &str| Request::Set { prefix: prefix.to_owned(), faults: Faults::CUT };
    assert_eq!(proxies.obey(set("a-b")).await, Response::Changed(1));
    assert_eq!(proxies.obey(set("")).await, Response::Changed(2));
    let line = r#"{"set": {"prefix": "a-b", "faults": {"delay_ms": 40, "stall_forward": true}}}"#;
    let faults = Faults { delay_ms: 40, stall_forward: true, ..Faults::default() };
    assert_eq!(serde_json::from_str::<Request>(line).unwrap(), Request::Set { prefix: "a-b".to_owned(), faults });
}
