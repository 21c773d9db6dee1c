//! How much a function has on the heap at once: the system's allocator, with a count for each thread. C code is not counted.

#![allow(unsafe_code, reason = "an allocator is unsafe; this one adds to a counter and hands everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes now, and the most so far. Less than nothing when a thread frees what another has made.
    static BYTES: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: usize, sign: i64) {
    let change = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(sign);
    // A thread that ends frees after its counter is gone.
    let _ = BYTES.try_with(|counter| {
        let (now, most) = counter.get();
        let now = now.saturating_add(change);
        counter.set((now, most.max(now)));
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 1);
        count(layout.size(), -1);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What `work` returns, and the most bytes that it had on the heap at any moment.
pub(crate) fn most_of<R>(work: impl FnOnce() -> R) -> (R, usize) {
    BYTES.set((0, 0));
    let result = work();
    (result, usize::try_from(BYTES.get().1).unwrap_or(0))
}
