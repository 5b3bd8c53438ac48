//! One policy file. It is looked at before every decision, and between decisions, so that an edit is mostly read before one needs it. A changed
//! one is read whole or not at all, and by one thread: until it is read, and when it is wrong, the policy before it is in force.

use arc_swap::ArcSwap;
use exuvia_policies::{ParseError, Policy};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

pub(crate) struct Watched {
    path: PathBuf,
    last: ArcSwap<Last>,
    /// Held by whoever reads the file.
    reading: Mutex<()>,
}

#[derive(Default)]
struct Last {
    seen: Seen,
    /// The last one that was right.
    policy: Option<Policy>,
}

/// The file that was read last, right or wrong.
#[derive(Default, PartialEq)]
enum Seen {
    #[default]
    Never,
    Missing,
    File(Stamp),
}

/// What changes when a file is replaced or written: device, inode, size, and time of the last change in nanoseconds.
pub(crate) type Stamp = (u64, u64, u64, i64, i64);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not read the policy `{}`: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the policy `{}` is not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("the policy `{}` has more than {} bytes", .0.display(), Policy::MAX_BYTES)]
    TooLarge(PathBuf),
    #[error("the policy `{}` was written to while it was read", .0.display())]
    Torn(PathBuf),
    #[error("the policy `{}` is wrong:\n{source}", .path.display())]
    Wrong { path: PathBuf, source: ParseError },
}

impl Watched {
    /// A file that need not be right yet. Until it is, it allows nothing.
    pub(super) fn at(path: &Path) -> Self {
        Self::with(path, Last::default())
    }

    /// A file that is right now.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (stamp, policy) = read(path)?;
        Ok(Self::with(path, Last { seen: Seen::File(stamp), policy: Some(policy) }))
    }

    fn with(path: &Path, last: Last) -> Self {
        Self { path: path.into(), last: ArcSwap::from_pointee(last), reading: Mutex::default() }
    }

    /// The policy as the file has it now, or as it last was right. Nobody waits for another to read it, but where there is no policy yet.
    pub(super) fn policy(&self) -> Option<Policy> {
        let found = std::fs::metadata(&self.path).map_or(Seen::Missing, |file| Seen::File(stamp(&file)));
        let last = self.last.load();
        if last.seen == found {
            return last.policy.clone();
        }
        let _reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if last.policy.is_some() => return last.policy.clone(),
            Err(TryLockError::WouldBlock) => self.reading.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Another may have read it just before.
        let last = self.last.load_full();
        if last.seen == found { last.policy.clone() } else { self.read_again(&last, found) }
    }

    fn read_again(&self, last: &Last, found: Seen) -> Option<Policy> {
        let next = match read(&self.path) {
            Ok((stamp, policy)) => {
                tracing::info!(path = %self.path.display(), policy = %policy.digest(), "policy read");
                Last { seen: Seen::File(stamp), policy: Some(policy) }
            }
            Err(error) => {
                let stays = if last.policy.is_some() { "the policy before it" } else { "nothing is allowed" };
                tracing::error!(%error, stays, "a policy file is wrong, and is not used");
                // A file that is still being written is read again at the next request.
                let seen = if matches!(error, Error::Torn(_)) { Seen::Never } else { found };
                Last { seen, policy: last.policy.clone() }
            }
        };
        let policy = next.policy.clone();
        self.last.store(Arc::new(next));
        policy
    }
}

/// Reads a policy. What is read and the stamp are of one file, whatever happens to its name meanwhile.
pub(crate) fn read(path: &Path) -> Result<(Stamp, Policy), Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    let file = open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err(Error::NotAFile(path.into()));
    }
    // A larger one is not taken into memory.
    let most = u64::try_from(Policy::MAX_BYTES).unwrap_or(u64::MAX);
    if before.len() > most {
        return Err(Error::TooLarge(path.into()));
    }
    let mut text = Vec::new();
    (&file).take(most.saturating_add(1)).read_to_end(&mut text).map_err(failed)?;
    let after = file.metadata().map_err(failed)?;
    // The count of links and the name may change under a file that is replaced, and with them the time: not its text.
    let text_of = |file: &Metadata| (file.size(), file.mtime(), file.mtime_nsec());
    if text_of(&before) != text_of(&after) {
        return Err(Error::Torn(path.into()));
    }
    let policy = Policy::parse(&text).map_err(|source| Error::Wrong { path: path.into(), source })?;
    Ok((stamp(&before), policy))
}

/// Opens without waiting: a pipe in the place of the file would have a writer for ever to come.
fn open(path: &Path) -> io::Result<File> {
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(nonblock).open(path)
}

fn stamp(file: &Metadata) -> Stamp {
    (file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ALLOW: &str = r#"{"version": "1", "default": "allow"}"#;
    const DENY: &str = r#"{"version": "1", "default": "deny"}"#;

    fn allows(file: &Watched) -> Option<bool> {
        file.policy().map(|policy| policy.is_callable("any"))
    }

    #[test]
    fn an_edit_counts_at_once_and_a_wrong_one_leaves_the_policy_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        fs::write(&path, DENY).unwrap();
        let file = Watched::open(&path).unwrap();
        assert_eq!(allows(&file), Some(false));
        fs::write(&path, ALLOW).unwrap();
        assert_eq!(allows(&file), Some(true));
        for wrong in ["", "{", r#"{"version": "1", "default": "deny", "default": "allow"}"#, &"[".repeat(1 << 20)] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(allows(&file), Some(true), "{wrong:.40}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(allows(&file), Some(true));
        fs::write(&path, DENY).unwrap();
        assert_eq!(allows(&file), Some(false));
    }

    /// Seen never to end with those waiting who find that another reads it.
    #[test]
    fn while_one_reads_an_edit_the_others_go_on_under_the_policy_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        fs::write(&path, DENY).unwrap();
        let file = Watched::open(&path).unwrap();
        fs::write(&path, ALLOW).unwrap();
        let reading = file.reading.lock().unwrap();
        assert_eq!(allows(&file), Some(false));
        drop(reading);
        assert_eq!(allows(&file), Some(true));
    }

    #[test]
    fn a_file_that_was_never_right_allows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        let file = Watched::at(&path);
        assert_eq!(allows(&file), None);
        fs::write(&path, "{").unwrap();
        assert_eq!(allows(&file), None);
        fs::write(&path, ALLOW).unwrap();
        assert_eq!(allows(&file), Some(true));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused_without_being_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(Error::NotAFile(_))));
        assert!(matches!(read(Path::new("/dev/zero")), Err(Error::NotAFile(_))));
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(50 << 20).unwrap();
        assert!(matches!(read(&large), Err(Error::TooLarge(_))));
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(read(&pipe), Err(Error::NotAFile(_))));
    }

    /// A link that leads elsewhere between two reads: each policy is one file's, whole.
    #[test]
    fn a_link_that_is_swapped_gives_one_policy_or_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("allow"), ALLOW).unwrap();
        fs::write(at("deny"), DENY).unwrap();
        fs::write(at("wrong"), "{").unwrap();
        let swap = |to: &str| {
            std::os::unix::fs::symlink(at(to), at("new")).unwrap();
            fs::rename(at("new"), at("policy.json")).unwrap();
        };
        swap("deny");
        let file = Watched::open(&at("policy.json")).unwrap();
        for (to, allowed) in [("allow", true), ("wrong", true), ("deny", false), ("nowhere", false), ("allow", true)] {
            swap(to);
            assert_eq!(allows(&file), Some(allowed), "{to}");
        }
    }
}
