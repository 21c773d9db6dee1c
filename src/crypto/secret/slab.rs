//! The slab: slots of 32 bytes in pages that are locked, left out of core images and not inherited by forks.
//!
//! Chunks are mapped as needed and never given back; a free slot is always zero. The list of free slots lives on the
//! heap and names addresses only. Allocation and release take one lock and never allocate in `Drop`.
#![allow(unsafe_code, reason = "mmap, mlock and madvise have no safe interface in std, and a slot is a raw pointer into such a mapping")]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize;

use crate::CryptoError;

const SLOT_BYTES: usize = 32;
/// 2048 slots: locked memory is scarce (8 MiB by default), and adjacent chunks merge into one mapping.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNK_SLOTS: usize = CHUNK_BYTES / SLOT_BYTES;

static SLAB: Mutex<Slab> = Mutex::new(Slab { free: Vec::new(), slots: 0 });

struct Slab {
    free: Vec<Address>,
    /// All slots ever made; `free` always has room for that many.
    slots: usize,
}

struct Address(NonNull<[u8; SLOT_BYTES]>);

// SAFETY: the address of a slot may be used from any thread; who holds the address owns the slot alone.
unsafe impl Send for Address {}

/// One slot, owned by its holder alone; wiped and given back on drop.
pub(super) struct Slot(Address);

// SAFETY: a shared `Slot` gives only shared access to its bytes, as a `Box<[u8; 32]>` does.
unsafe impl Sync for Slot {}

impl Slot {
    /// A zeroed slot.
    pub(super) fn acquire() -> Result<Self, CryptoError> {
        let mut slab = lock_slab();
        loop {
            if let Some(address) = slab.free.pop() {
                return Ok(Self(address));
            }
            slab.grow(1)?;
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8; SLOT_BYTES] {
        // SAFETY: the address points into a chunk that is never unmapped, is aligned for bytes and initialised (zeroed by
        // the kernel), and this slot is its one owner, so nobody writes while the borrow lasts.
        unsafe { self.0.0.as_ref() }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8; SLOT_BYTES] {
        // SAFETY: as in `bytes`, and `&mut self` makes the access exclusive.
        unsafe { self.0.0.as_mut() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        lock_slab().free.push(Address(self.0.0));
    }
}

/// Makes sure that there are so many slots, free or not; all that are missing, or none.
pub(super) fn reserve(slots: usize) -> Result<(), CryptoError> {
    let mut slab = lock_slab();
    match slots.saturating_sub(slab.slots).div_ceil(CHUNK_SLOTS) {
        0 => Ok(()),
        chunks => slab.grow(chunks),
    }
}

fn lock_slab() -> MutexGuard<'static, Slab> {
    // A panic cannot leave the list half changed: each change is one push or pop.
    SLAB.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slab {
    /// Adds `chunks` chunks as one mapping, or nothing.
    fn grow(&mut self, chunks: usize) -> Result<(), CryptoError> {
        let bytes = chunks.saturating_mul(CHUNK_BYTES);
        let out_of_memory = || CryptoError::SecretMemory { bytes, source: io::ErrorKind::OutOfMemory.into() };
        let added = chunks.checked_mul(CHUNK_SLOTS).ok_or_else(out_of_memory)?;
        let room = self.slots.checked_add(added).ok_or_else(out_of_memory)? - self.free.len();
        self.free.try_reserve(room).map_err(|_| out_of_memory())?;
        let chunk = map_locked(bytes, self.slots * SLOT_BYTES, lock)?;
        self.slots += added;
        // SAFETY: `bytes` bytes are mapped from `chunk` on (had the product been too large, mapping would have failed), and
        // every multiple of SLOT_BYTES below that is inside them.
        self.free.extend((0..added).rev().map(|slot| Address(unsafe { chunk.byte_add(slot * SLOT_BYTES) }.cast())));
        Ok(())
    }
}

/// Maps `bytes` zeroed bytes that are locked and excluded from core images, or nothing. `before_bytes` were locked before.
fn map_locked(bytes: usize, before_bytes: usize, lock: impl Fn(NonNull<u8>, usize) -> io::Result<()>) -> Result<NonNull<u8>, CryptoError> {
    // SAFETY: a fresh anonymous mapping touches no memory that exists.
    let address =
        unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    let chunk = match NonNull::new(address.cast::<u8>()) {
        Some(chunk) if address != libc::MAP_FAILED => chunk,
        _ => return Err(CryptoError::SecretMemory { bytes, source: io::Error::last_os_error() }),
    };
    let locked = advise(chunk, bytes).and_then(|()| {
        lock(chunk, bytes).or_else(|_| {
            raise_lock_limit();
            lock(chunk, bytes)
        })
    });
    locked.map(|()| chunk).map_err(|source| {
        // SAFETY: the mapping was made above, is `bytes` long, and nobody else knows its address.
        unsafe { libc::munmap(address, bytes) };
        CryptoError::SecretMemoryLock {
            bytes,
            needed_bytes: before_bytes.saturating_add(bytes),
            limit_bytes: lock_limit().rlim_cur,
            source,
        }
    })
}

fn advise(chunk: NonNull<u8>, bytes: usize) -> io::Result<()> {
    for advice in [libc::MADV_DONTDUMP, libc::MADV_DONTFORK] {
        // SAFETY: the range is the caller's own mapping; neither advice changes its contents in this process.
        if unsafe { libc::madvise(chunk.as_ptr().cast(), bytes, advice) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn lock(chunk: NonNull<u8>, bytes: usize) -> io::Result<()> {
    // SAFETY: the range is the caller's own mapping, and locking does not change it.
    match unsafe { libc::mlock(chunk.as_ptr().cast(), bytes) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn lock_limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live `rlimit`. On failure it stays zero, which is only shown.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    limit
}

/// Raises the soft limit to the hard one. Whether that was enough, the next attempt to lock shows.
fn raise_lock_limit() {
    let limit = lock_limit();
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the pointer is to a live `rlimit`; raising the soft limit up to the hard one is always allowed.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const raised) };
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::process::Command;

    use super::*;
    use crate::memory_scan;

    #[test]
    fn memory_that_cannot_be_locked_is_refused_and_given_back() {
        const MARK: [u8; 32] = [0xa5; 32];
        let seen = Cell::new(0);
        let refused = map_locked(CHUNK_BYTES, 0, |chunk, _| {
            // SAFETY: the chunk is mapped, larger than this, and nobody else's.
            unsafe { chunk.cast::<[u8; 32]>().write(MARK) };
            seen.set(chunk.as_ptr() as u64);
            Err(io::ErrorKind::OutOfMemory.into())
        });
        let Err(error @ CryptoError::SecretMemoryLock { .. }) = refused else { panic!("unlocked memory was handed out") };
        assert!(error.to_string().contains("LimitMEMLOCK="));
        // Another thread may have mapped the range anew, but not with this in it.
        assert_ne!(memory_scan::try_read_32(seen.get()), Some(MARK));
    }

    #[test]
    fn locking_is_tried_again_after_the_limit_was_raised() {
        let attempts = Cell::new(0);
        let chunk = map_locked(CHUNK_BYTES, 0, |_, _| {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 1 { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
        })
        .unwrap();
        assert_eq!(attempts.get(), 2);
        let limit = lock_limit();
        assert_eq!(limit.rlim_cur, limit.rlim_max);
        // SAFETY: mapped above with this length and used by nobody.
        unsafe { libc::munmap(chunk.as_ptr().cast(), CHUNK_BYTES) };
    }

    const CHILD: &str = "CLAVIGER_TEST_RESERVE_CHILD";

    /// Gives up every capability of this thread: who has CAP_IPC_LOCK has no limit of locked memory.
    fn drop_capabilities() {
        // _LINUX_CAPABILITY_VERSION_3, this thread; then no capability in any set.
        let (header, none) = ([0x2008_0522_u32, 0], [0_u32; 6]);
        // SAFETY: both arrays have the sizes that this version of the call has, and live.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) }, 0, "{}", io::Error::last_os_error());
    }

    /// Limits hold for a process as a whole, so it happens in one of its own: this test binary, running this test alone.
    #[test]
    fn a_reserve_that_the_limit_does_not_allow_is_refused_at_once() {
        if std::env::var_os(CHILD).is_none() {
            let name = "secret::slab::tests::a_reserve_that_the_limit_does_not_allow_is_refused_at_once";
            let child = Command::new(std::env::current_exe().unwrap()).args(["--exact", name]).env(CHILD, "1").output().unwrap();
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
            assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
            return;
        }
        drop_capabilities();
        let limit = libc::rlimit { rlim_cur: CHUNK_BYTES as u64, rlim_max: 4 * CHUNK_BYTES as u64 };
        // SAFETY: the pointer is to a live `rlimit`.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
        reserve(1).unwrap();
        assert_eq!(lock_limit().rlim_cur, limit.rlim_cur, "the limit was raised without need");
        reserve(3 * CHUNK_SLOTS).unwrap();
        assert_eq!(lock_limit().rlim_cur, limit.rlim_max);
        let error = reserve(4 * CHUNK_SLOTS + 1).unwrap_err();
        let CryptoError::SecretMemoryLock { bytes, needed_bytes, limit_bytes, .. } = error else { panic!("{error}") };
        assert_eq!((bytes, needed_bytes, limit_bytes), (2 * CHUNK_BYTES, 5 * CHUNK_BYTES, limit.rlim_max));
        for part in ["327680 bytes are needed", "RLIMIT_MEMLOCK is 262144 bytes", "LimitMEMLOCK=", "ulimit -l"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        // What was refused took nothing: what fits can still be had, to the last slot.
        reserve(4 * CHUNK_SLOTS).unwrap();
        let held: Vec<_> = (0..4 * CHUNK_SLOTS).map(|_| Slot::acquire().unwrap()).collect();
        assert!(matches!(Slot::acquire(), Err(CryptoError::SecretMemoryLock { .. })));
        drop(held);
        reserve(4 * CHUNK_SLOTS).unwrap();
    }

    #[test]
    fn a_reserve_beyond_any_memory_is_an_error() {
        for slots in [usize::MAX, usize::MAX / SLOT_BYTES, 1 << 58] {
            assert!(matches!(reserve(slots), Err(CryptoError::SecretMemory { .. })), "{slots}");
        }
    }
}
