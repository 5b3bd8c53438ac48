//! The threads that programs run on, apart from the server's own: a program that computes must not delay an answer.

use std::io;
use tokio::runtime::{Builder, Handle, Runtime};

/// Polls between two looks at timers and sockets. Each poll of a computing program takes a whole slice.
const EVENT_INTERVAL: u32 = 2;
/// How much guests give way to the server's threads: a nice value.
const NICE: i32 = 5;

pub(super) struct Guests(Option<Runtime>);

impl Guests {
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("exuvia-guest")
            .event_interval(EVENT_INTERVAL)
            .global_queue_interval(EVENT_INTERVAL)
            .on_thread_start(|| {
                // Of this thread alone, on Linux. Without it guests only compete on equal terms.
                let _ = rustix::process::setpriority_process(None, NICE);
            })
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub(super) fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
