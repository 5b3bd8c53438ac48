//! Keeps what this process has in its memory to itself: no core file, and no other process that looks in.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// The limit that the kernel takes for "none", also where core files go to a program instead of a file; 0 stops files alone
/// (`core(5)`, and `fs/coredump.c` in Linux).
const NO_CORE: u64 = 1;

/// Has no core file written of this process, nor of those that it starts.
pub(crate) fn no_core_files() {
    let limit = getrlimit(Resource::Core);
    let most = limit.maximum.map_or(NO_CORE, |most| most.min(NO_CORE));
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) }) {
        tracing::warn!(%error, "core files could not be turned off: one would have the values of secrets");
    }
}

/// Closes the memory of this process to others of the same user, debuggers among them. From then on an unprivileged process
/// cannot open some of its own files in `/proc` either: to be called once the sandbox has what it needs.
pub(crate) fn close_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process's memory is open to others of its user");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    /// Seen to fail with each of the two left out.
    #[test]
    fn memory_is_closed_and_no_core_is_written() {
        no_core_files();
        let limit = getrlimit(Resource::Core);
        assert!(limit.current.is_some_and(|most| most <= NO_CORE) && limit.maximum == limit.current);
        close_memory();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
