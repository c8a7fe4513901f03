//! Counts what is allocated, so that a target can tell what its subject holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static COUNTER: Counter = Counter;
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counter;

// SAFETY: every call is the system allocator's, with the arguments it came with.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size, Relaxed);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The memory that the program holds more than at a moment.
pub struct Memory(usize);

impl Memory {
    /// Takes this moment.
    pub fn begin() -> Self {
        Self(HELD.load(Relaxed))
    }

    /// Bytes held more than at that moment.
    pub fn held(&self) -> usize {
        HELD.load(Relaxed).saturating_sub(self.0)
    }
}
