//! What the targets share: the bound on time, and whose panics are no find.

pub mod texts;

use std::time::Duration;

use nix::time::ClockId;

/// CPU time that one hostile input may cost. The product's own bound is 100 ms; instrumentation and debug assertions
/// make the code several times slower here.
const MOST: Duration = Duration::from_millis(500);

/// Runs `judged` and panics when it costs more than its share of CPU time.
pub fn bounded<T>(judged: impl FnOnce() -> T) -> T {
    let before = spent();
    let result = judged();
    let cost = spent().saturating_sub(before);
    assert!(cost <= MOST, "one input cost {cost:?}");
    result
}

/// A folder of this process's own, in memory where the system has such a place: what is under test reads files.
pub fn folder(name: &str) -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    let root = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let folder = root.join(format!("voxea-fuzz-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// Lets a panic inside a dependency unwind, where libFuzzer's own hook would end the process: the code under test
/// promises to catch it. One that it does not catch still ends the process, and so does any panic elsewhere.
pub fn contain(dependency: &'static str) {
    let ends_the_process = std::panic::take_hook();
    // The registry's folder of the crate: its name, a dash, its version.
    let folder = format!("/{dependency}-");
    std::panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|place| place.file().contains(&folder)) {
            ends_the_process(info);
        }
    }));
}

fn spent() -> Duration {
    let now = ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("the thread's clock can be read");
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}
