//! The threads that programs run on, apart from the server's own: a program that computes must not delay an answer.
//!
//! A program holds its thread until it waits or ends, so the operating system shares the processors among those that
//! compute. There are always enough threads for those that do not compute for long: for each that has been held for some
//! milliseconds another one is started. What the programs wait for is seen to by the server's threads.

mod task;

use self::task::Task;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::warn;

/// How much guests give way to the server's threads, in nice values.
const NICER: i32 = 5;
/// Between two looks at who is being held. Whoever is in the same poll at both does not count as free.
const LOOK: Duration = Duration::from_millis(2);
/// How long a thread that was started for want of others stays without work.
const IDLE: Duration = Duration::from_secs(5);
/// Most threads without work. They are woken in turn: of a thousand, each has some now and then, and none is ever without for long enough.
const MOST_IDLE: usize = 16;

pub(super) struct Guests(Arc<Pool>);

struct Pool {
    /// Runs the timers that programs wait for.
    server: Handle,
    /// Threads that are not held for long.
    free: usize,
    /// All threads, at most.
    most: usize,
    state: Mutex<State>,
    work: Condvar,
    /// Something waits and no thread is free for it.
    wanting: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Task>>,
    workers: Vec<Arc<Worker>>,
    idle: usize,
    /// The system would not give another thread when it was last asked.
    refused: bool,
    has_begun: bool,
    stopping: bool,
}

/// One thread, as the others see it.
#[derive(Default)]
struct Worker {
    /// Counts the beginnings and ends of polls: odd during one.
    polls: AtomicU64,
    /// What that was when it was last looked at.
    seen: AtomicU64,
}

impl Worker {
    /// Whether it is in the poll that it was in at the last look.
    fn is_held(&self) -> bool {
        let polls = self.polls.load(Relaxed);
        self.seen.swap(polls, Relaxed) == polls && polls % 2 == 1
    }
}

impl Guests {
    /// Starts `free` threads, which wait for [`Self::begin`]; there will be no more than `most`. Called on one of the server's.
    pub(super) fn start(free: usize, most: usize) -> io::Result<Self> {
        let pool = Arc::new(Pool {
            server: Handle::current(),
            free,
            most: most.max(free),
            state: Mutex::default(),
            work: Condvar::new(),
            wanting: Notify::new(),
        });
        for _ in 0..free {
            pool.add(&mut pool.state())?;
        }
        pool.server.spawn(mend(Arc::downgrade(&pool)));
        Ok(Self(pool))
    }

    /// Begins with what was spawned: not before all that an earlier process left is in line, as it would take the processors from whoever
    /// puts it there.
    pub(super) fn begin(&self) {
        self.0.state().has_begun = true;
        self.0.work.notify_all();
        self.0.wanting.notify_one();
    }

    /// Begins `work` as soon as a thread is free.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Task::new(Box::pin(work), Arc::downgrade(&self.0)));
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.stopping = true;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        self.0.work.notify_all();
        self.0.wanting.notify_one();
        drop(dropped);
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever held it cannot have left it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a task that can go on behind the others that can.
    fn push(&self, task: Arc<Task>) {
        let mut state = self.state();
        if state.stopping {
            drop(state);
            return;
        }
        state.queue.push_back(task);
        let waiting = state.queue.len();
        let idle = state.idle;
        drop(state);
        if idle > 0 {
            self.work.notify_one();
        }
        // Those that are idle may have been told of another already.
        if waiting > idle {
            self.wanting.notify_one();
        }
    }

    fn add(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let worker = Arc::new(Worker::default());
        let (pool, own) = (Arc::clone(self), Arc::clone(&worker));
        thread::Builder::new().name("exuvia-guest".into()).spawn(move || pool.work(&own))?;
        state.workers.push(worker);
        Ok(())
    }

    fn work(&self, own: &Arc<Worker>) {
        // Of this thread alone, on Linux. Without it guests only compete on equal terms.
        let _ = rustix::process::getpriority_process(None)
            .and_then(|nice| rustix::process::setpriority_process(None, nice + NICER));
        let _server = self.server.enter();
        while let Some(task) = self.next(own) {
            own.polls.fetch_add(1, Relaxed);
            task.poll();
            own.polls.fetch_add(1, Relaxed);
        }
    }

    /// What comes next; none when this thread is to end.
    fn next(&self, own: &Arc<Worker>) -> Option<Arc<Task>> {
        let mut state = self.state();
        loop {
            if state.has_begun
                && let Some(task) = state.queue.pop_front()
            {
                return Some(task);
            }
            if state.stopping {
                return None;
            }
            if state.idle >= MOST_IDLE.max(self.free) && state.workers.len() > self.free {
                state.workers.retain(|worker| !Arc::ptr_eq(worker, own));
                return None;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, IDLE);
            let (awake, time) = waited.unwrap_or_else(PoisonError::into_inner);
            state = awake;
            state.idle -= 1;
            if time.timed_out() && state.queue.is_empty() && state.workers.len() > self.free {
                state.workers.retain(|worker| !Arc::ptr_eq(worker, own));
                return None;
            }
        }
    }

    /// Starts threads in place of those that are held. Whether anything still waits.
    fn look(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        let held = state.workers.iter().filter(|worker| worker.is_held()).count();
        let wanted = (self.free + held).min(self.most).saturating_sub(state.workers.len());
        for _ in 0..wanted.min(state.queue.len()) {
            let added = self.add(&mut state);
            let before = std::mem::replace(&mut state.refused, added.is_err());
            if let Err(error) = added {
                if !before {
                    warn!(%error, threads = state.workers.len(), "could not start another thread for programs");
                }
                break;
            }
        }
        !state.queue.is_empty() && !state.stopping
    }
}

/// Looks at the threads for as long as something waits for one.
async fn mend(pool: Weak<Pool>) {
    loop {
        let Some(now) = pool.upgrade() else { return };
        if now.state().stopping {
            return;
        }
        now.wanting.notified().await;
        loop {
            tokio::time::sleep(LOOK).await;
            if !now.look() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn server() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    /// Computes until `done`, without ever waiting.
    fn hold(done: &AtomicU64) {
        let until = Instant::now() + PATIENCE;
        while done.load(Relaxed) == 0 && Instant::now() < until {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn held_threads_do_not_keep_others_from_going_on() {
        let server = server();
        let _server = server.enter();
        let guests = Guests::start(2, 40).unwrap();
        guests.begin();
        let done = Arc::new(AtomicU64::new(0));
        for _ in 0..20 {
            let done = Arc::clone(&done);
            guests.spawn(async move { hold(&done) });
        }
        let (said, heard) = channel();
        guests.spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            said.send(()).unwrap();
        });
        assert!(heard.recv_timeout(PATIENCE).is_ok());
        assert!(guests.0.state().workers.len() > 20);
        done.store(1, Relaxed);
    }

    #[test]
    fn there_are_no_more_threads_than_are_allowed() {
        let server = server();
        let _server = server.enter();
        let guests = Guests::start(1, 3).unwrap();
        guests.begin();
        let done = Arc::new(AtomicU64::new(0));
        let (said, heard) = channel();
        for _ in 0..6 {
            let (done, said) = (Arc::clone(&done), said.clone());
            guests.spawn(async move {
                said.send(()).unwrap();
                hold(&done);
            });
        }
        for _ in 0..3 {
            assert!(heard.recv_timeout(PATIENCE).is_ok());
        }
        assert_eq!(guests.0.state().workers.len(), 3);
        assert!(heard.try_recv().is_err());
        done.store(1, Relaxed);
        for _ in 0..3 {
            assert!(heard.recv_timeout(PATIENCE).is_ok());
        }
    }

    /// Seen to fail without `MOST_IDLE`: all of them stay.
    #[test]
    fn few_threads_stay_that_have_nothing_to_do() {
        let server = server();
        let _server = server.enter();
        let guests = Guests::start(1, 60).unwrap();
        guests.begin();
        let done = Arc::new(AtomicU64::new(0));
        for _ in 0..60 {
            let done = Arc::clone(&done);
            guests.spawn(async move { hold(&done) });
        }
        let until = Instant::now() + PATIENCE;
        while guests.0.state().workers.len() < 60 {
            assert!(Instant::now() < until);
        }
        done.store(1, Relaxed);
        loop {
            let state = guests.0.state();
            assert!(state.idle <= MOST_IDLE, "{}", state.idle);
            if state.workers.len() <= MOST_IDLE + 1 {
                return;
            }
            assert!(Instant::now() < until);
        }
    }

    /// Seen to fail with threads that do not look at it.
    #[test]
    fn nothing_begins_before_it_is_told_to() {
        let server = server();
        let _server = server.enter();
        let guests = Guests::start(1, 1).unwrap();
        let (said, heard) = channel();
        guests.spawn(async move { said.send(()).unwrap() });
        let until = Instant::now() + PATIENCE;
        // It looked, and found nothing.
        while guests.0.state().idle == 0 {
            assert!(Instant::now() < until && heard.try_recv().is_err());
        }
        assert!(heard.try_recv().is_err());
        guests.begin();
        assert!(heard.recv_timeout(PATIENCE).is_ok());
    }

    #[test]
    fn a_panic_ends_its_own_work_alone() {
        let server = server();
        let _server = server.enter();
        let guests = Guests::start(1, 1).unwrap();
        guests.begin();
        let (said, heard) = channel();
        guests.spawn(async { panic!("on purpose") });
        guests.spawn(async move { said.send(()).unwrap() });
        assert!(heard.recv_timeout(PATIENCE).is_ok());
    }
}
