//! The runtime that openraft runs on: tokio, with random waits drawn from [`claviger_types::jitter`], so that a simulation
//! can repeat them.

use std::future::Future;
use std::time::Duration;

use claviger_types::jitter;
use openraft::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::TokioRuntime;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// See the module.
#[derive(Debug)]
pub(crate) struct Runtime(TokioRuntime);

type Of = TokioRuntime;

impl AsyncRuntime for Runtime {
    type JoinError = <Of as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <Of as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <Of as AsyncRuntime>::Sleep;
    type Instant = <Of as AsyncRuntime>::Instant;
    type TimeoutError = <Of as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <Of as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <Of as AsyncRuntime>::Mpsc;
    type Watch = <Of as AsyncRuntime>::Watch;
    type Oneshot = <Of as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <Of as AsyncRuntime>::Mutex<T>;

    fn thread_rng() -> SmallRng {
        SmallRng::seed_from_u64(jitter::next())
    }

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        Of::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Of::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Of::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        Of::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        Of::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        Of::is_panic(join_error)
    }

    fn new(threads: usize) -> Self {
        Self(Of::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}
