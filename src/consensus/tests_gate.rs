//! The gate alone, over rounds that a test answers by hand.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::applied::AppliedIndex;

const PATIENT: GateTimes = GateTimes {
    hold: Duration::from_secs(60),
    round: Duration::from_secs(60),
    pause: Duration::from_millis(5),
    idle: Duration::from_secs(60),
};
const HASTY: GateTimes = GateTimes {
    hold: Duration::from_millis(300),
    round: Duration::from_millis(100),
    pause: Duration::from_millis(5),
    idle: Duration::from_millis(50),
};

/// Each round waits for the test's answer, unless the leader is `down`.
struct Script {
    sent: watch::Sender<u64>,
    answers: tokio::sync::Mutex<mpsc::Receiver<Result<u64, NoAnswer>>>,
    applied: AppliedIndex,
    down: AtomicBool,
}

impl ReadSource for Script {
    async fn round(&self) -> Result<u64, NoAnswer> {
        self.sent.send_modify(|sent| *sent += 1);
        if self.down.load(Ordering::Relaxed) {
            return Err(NoAnswer);
        }
        self.answers.lock().await.recv().await.unwrap_or(Err(NoAnswer))
    }

    fn has_applied(&self, index: u64) -> bool {
        self.applied.covers(index)
    }

    async fn applied(&self, index: u64) {
        self.applied.wait(index).await;
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

struct Scene {
    gate: Arc<Gate>,
    source: Arc<Script>,
    answers: mpsc::Sender<Result<u64, NoAnswer>>,
}

impl Scene {
    fn new(times: GateTimes, down: bool) -> Self {
        let (answers, receiver) = mpsc::channel(16);
        let source = Arc::new(Script {
            sent: watch::Sender::new(0),
            answers: tokio::sync::Mutex::new(receiver),
            applied: AppliedIndex::new(Some(100)),
            down: AtomicBool::new(down),
        });
        Self { gate: Arc::new(Gate::open(Arc::clone(&source), times)), source, answers }
    }

    fn read(&self) -> JoinHandle<Result<(), Unavailable>> {
        let gate = Arc::clone(&self.gate);
        tokio::spawn(async move { gate.read().await })
    }

    async fn sent(&self, rounds: u64) {
        self.source.sent.subscribe().wait_for(|sent| *sent >= rounds).await.unwrap();
    }

    async fn answer(&self, answer: Result<u64, NoAnswer>) {
        self.answers.send(answer).await.unwrap();
    }
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_read_never_joins_a_round_that_was_sent() {
    let scene = Scene::new(PATIENT, false);
    let first = scene.read();
    scene.sent(1).await;
    // The first round is under way: what is acknowledged from here on would not be in its answer.
    let second = scene.read();
    settle().await;
    scene.answer(Ok(5)).await;
    first.await.unwrap().unwrap();
    scene.sent(2).await;
    settle().await;
    assert!(!second.is_finished(), "the second read was let go by a round that was sent before it came");
    scene.answer(Ok(6)).await;
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn reads_that_wait_share_one_round() {
    let scene = Scene::new(PATIENT, false);
    let first = scene.read();
    scene.sent(1).await;
    let waiting: Vec<_> = (0..100).map(|_| scene.read()).collect();
    settle().await;
    scene.answer(Ok(5)).await;
    scene.answer(Ok(6)).await;
    first.await.unwrap().unwrap();
    for read in waiting {
        read.await.unwrap().unwrap();
    }
    assert_eq!(*scene.source.sent.borrow(), 2);
}

#[tokio::test]
async fn a_read_waits_until_its_index_is_applied_and_the_index_does_not() {
    let scene = Scene::new(PATIENT, false);
    let read = scene.read();
    scene.sent(1).await;
    scene.answer(Ok(101)).await;
    let gate = Arc::clone(&scene.gate);
    let index = tokio::spawn(async move { gate.index().await });
    scene.sent(2).await;
    scene.answer(Ok(101)).await;
    assert_eq!(index.await.unwrap(), Ok(101));
    // Rounds go on meanwhile.
    let other = scene.read();
    scene.sent(3).await;
    scene.answer(Ok(99)).await;
    other.await.unwrap().unwrap();
    settle().await;
    assert!(!read.is_finished());
    scene.source.applied.publish(101);
    read.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_failed_round_is_made_again_for_the_same_reads() {
    let scene = Scene::new(PATIENT, false);
    let read = scene.read();
    scene.answer(Err(NoAnswer)).await;
    scene.answer(Err(NoAnswer)).await;
    scene.answer(Ok(7)).await;
    read.await.unwrap().unwrap();
    assert_eq!(*scene.source.sent.borrow(), 3);
}

#[tokio::test]
async fn without_a_leader_a_read_is_held_and_refused_and_then_refused_at_once_until_one_is_heard() {
    let scene = Scene::new(HASTY, true);
    let begun = Instant::now();
    assert_eq!(scene.gate.read().await, Err(Unavailable));
    assert!(begun.elapsed() >= HASTY.hold - HASTY.pause, "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..1000 {
        assert_eq!(scene.gate.read().await, Err(Unavailable));
    }
    assert!(begun.elapsed() < HASTY.hold, "{:?}", begun.elapsed());
    scene.source.down.store(false, Ordering::Relaxed);
    for _ in 0..8 {
        scene.answer(Ok(1)).await;
    }
    while scene.gate.read().await.is_err() {
        sleep(HASTY.pause).await;
    }
}

#[tokio::test]
async fn an_idle_node_notices_that_it_is_cut_off() {
    let scene = Scene::new(HASTY, true);
    while !scene.gate.door.state.lock().cut_off {
        sleep(HASTY.pause).await;
    }
    let begun = Instant::now();
    assert_eq!(scene.gate.read().await, Err(Unavailable));
    assert!(begun.elapsed() < HASTY.hold / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_round_without_an_answer_ends_in_time() {
    let scene = Scene::new(HASTY, false);
    let begun = Instant::now();
    assert_eq!(scene.gate.read().await, Err(Unavailable));
    assert!(begun.elapsed() < HASTY.hold * 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_closed_gate_leaves_nobody_waiting() {
    let scene = Scene::new(PATIENT, false);
    let (under_way, waiting) = (scene.read(), scene.read());
    scene.sent(1).await;
    let next = scene.read();
    settle().await;
    scene.gate.close();
    for read in [under_way, waiting, next, scene.read()] {
        assert_eq!(read.await.unwrap(), Err(Unavailable));
    }
}
