//! What the guest asks of the host. Guards: `MOST_UNDER_WAY`, `MOST_HELD`, `LARGEST_MESSAGE`, `MOST_HANDLES` and `slice` in `effects.rs`.

use super::*;

/// A host that never answers, and counts what it was asked and what it holds.
#[derive(Clone, Default)]
struct Silent {
    asked: Arc<AtomicUsize>,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    now: usize,
    most: usize,
}

impl Host for Silent {
    fn clock(&mut self, _: exuvia_runtime::Clock) -> u64 {
        0
    }

    fn output(&mut self, _: Stream, _: &[u8]) {}

    fn start(&mut self, effect: Effect) -> Pending {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Effect::Request(request) = effect else { return Box::pin(std::future::pending()) };
        let size = request.get().len();
        {
            let mut held = self.held.lock().unwrap();
            held.now += size;
            held.most = held.most.max(held.now);
        }
        let release = Release(self.held.clone(), size);
        Box::pin(async move {
            let _release = (release, request);
            std::future::pending().await
        })
    }
}

struct Release(Arc<Mutex<Held>>, usize);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.lock().unwrap().now -= self.1;
    }
}

#[test]
fn a_hundred_thousand_effects_without_waiting() {
    let host = Silent::default();
    let source = include_str!("many_effects.py");
    let ran = survive_with(source, &limits(), Box::new(host.clone()));
    ends(&ran, "finished", "4096 begun, 95904 refused with -1\n");
    assert_eq!(host.asked.load(Ordering::Relaxed), 4096, "what is refused does not reach the host");
    assert_eq!(host.held.lock().unwrap().now, 0, "the end of the run drops them all");
}

#[test]
fn effects_that_are_dropped_at_once_do_not_pile_up() {
    let host = Silent::default();
    let source = include_str!("dropped_effects.py");
    let ran = survive_with(source, &limits(), Box::new(host.clone()));
    ends(&ran, "finished", "some were refused: True\nafter a wait: True\n");
    let most = host.held.lock().unwrap().most;
    assert!(most <= 64 << 20, "{most} bytes of messages were held");
}

#[test]
fn messages_of_any_size() {
    let host = Silent::default();
    let ran = survive_with(include_str!("large_messages.py"), &with_memory(256), Box::new(host.clone()));
    ends(&ran, "finished", "largest: 0\none more byte: -2\n50 MiB: -2\nmany: [1, 2, 3, -1, -1, -1]\n");
    let most = host.held.lock().unwrap().most;
    assert_eq!(most, 64 << 20);
}

#[test]
fn the_imports_are_called_with_nonsense() {
    let ran = survive(include_str!("imports.py"), &limits());
    ends(&ran, "finished", include_str!("imports.stdout"));
}

#[test]
fn an_outcome_of_any_size() {
    let source = "import _exuvia\nprint('before')\n_exuvia.finish(b'x' * ((64 << 20) + 1))";
    let ran = survive(source, &with_memory(256));
    ends(&ran, "stopped: the interpreter crashed (the outcome is too large)", "before\n");
}

// What belongs to the machine: its memory, its process, its signals.
