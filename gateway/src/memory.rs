//! How much memory the C library's allocator keeps.
//!
//! By itself it gives each thread that waits for another a region of its own, up to eight a core. Mails are read on one thread,
//! written to files on a dozen others and committed on yet another: with so many regions, three thousand mails held 125 MB, and
//! with mimalloc, which has a heap a thread, 230 MB and more with each mail, though at most 16 MB of mails are in memory at once.
//! With a region a core five thousand take 92 MB, at the same pace; `scripts/mail-bench` tells it anew.

/// Regions on the largest machine.
const MOST: usize = 8;
/// Memory at the end of a region that is given back once there is so much of it, in bytes. Said at all, it also keeps the size from
/// which on memory is the kernel's own at 128 KiB: else one large attachment would raise it for good.
const KEPT: libc::c_int = 1024 * 1024;

/// Bounds it, before any thread is started.
pub(crate) fn bound() {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let regions = libc::c_int::try_from(cores.clamp(2, MOST)).unwrap_or(2);
    for (what, value) in [(libc::M_ARENA_MAX, regions), (libc::M_TRIM_THRESHOLD, KEPT)] {
        set(what, value);
    }
}

#[expect(unsafe_code, reason = "the C library has no other way to be told")]
fn set(what: libc::c_int, value: libc::c_int) {
    // SAFETY: mallopt takes two numbers and keeps them under its own lock (mallopt(3)); nothing of ours is handed to it.
    let taken = unsafe { libc::mallopt(what, value) };
    debug_assert_eq!(taken, 1, "mallopt({what}, {value})");
}
