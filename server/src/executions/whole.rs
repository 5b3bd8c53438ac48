//! All that a program prints, where that is more than its record shows: on the disk from the moment at which something would be cut.

use exuvia_runtime::{Spill, Spilled, Stream};
use std::io::Read;

/// What one program prints on both streams.
pub(super) struct Whole {
    /// Where it goes; none where nothing beyond the record is kept.
    spill: Option<Spill>,
    /// Bytes of one stream that the record shows, so that there is nothing to keep besides.
    shown: usize,
    /// Bytes that may still be kept, of both together.
    left: u64,
    stdout: Printed,
    stderr: Printed,
}

enum Printed {
    /// All of it is in the record, too.
    Short(Vec<u8>),
    Long(Long),
}

/// More than a record shows.
pub(super) struct Long {
    kept: Spilled,
    /// Whether all that was printed is here.
    pub(super) is_whole: bool,
}

impl Long {
    pub(super) fn reader(&self) -> impl Read + '_ {
        self.kept.reader()
    }
}

impl Whole {
    /// `shown`: bytes of a stream that the record has; `most`: bytes kept of both.
    pub(super) fn new(spill: Option<Spill>, shown: usize, most: u64) -> Self {
        // A record keeps equal parts of the head and the tail.
        let shown = shown / 2 * 2;
        Self { spill, shown, left: most, stdout: Printed::Short(Vec::new()), stderr: Printed::Short(Vec::new()) }
    }

    /// Takes what was printed next. On a thread for programs: the kernel takes it, and nobody waits for the disk.
    pub(super) fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(spill) = self.spill.as_ref() else { return };
        let printed = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if let Printed::Short(short) = printed {
            if short.len() + bytes.len() <= self.shown {
                short.extend_from_slice(bytes);
                return;
            }
            let Ok(kept) = spill.file() else {
                self.spill = None;
                return;
            };
            let mut long = Long { kept, is_whole: true };
            long.push(short, &mut self.left);
            *printed = Printed::Long(long);
        }
        if let Printed::Long(long) = printed {
            long.push(bytes, &mut self.left);
        }
    }

    /// What there is of the streams that are longer than is shown, by their names.
    pub(super) fn take(&mut self) -> Vec<(&'static str, Long)> {
        let streams = [("stdout", &mut self.stdout), ("stderr", &mut self.stderr)];
        let long = streams.into_iter().filter_map(|(name, printed)| {
            match std::mem::replace(printed, Printed::Short(Vec::new())) {
                Printed::Short(_) => None,
                Printed::Long(long) => Some((name, long)),
            }
        });
        long.collect()
    }
}

impl Long {
    /// Once something is missing nothing follows it.
    fn push(&mut self, bytes: &[u8], left: &mut u64) {
        if !self.is_whole {
            return;
        }
        let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
        let pushed = self.kept.push(bytes.get(..fits).unwrap_or_default());
        self.is_whole = fits == bytes.len() && pushed.is_ok();
        *left -= fits as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(long: &Long) -> String {
        let mut text = String::new();
        long.reader().read_to_string(&mut text).unwrap();
        text
    }

    /// Seen to fail with a ceiling that is not looked at.
    #[test]
    fn what_is_shown_whole_is_not_kept_twice_and_the_rest_is_up_to_the_ceiling() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::open(folder.path(), 1 << 30).unwrap();
        let mut whole = Whole::new(Some(spill.clone()), 8, 20);
        whole.print(Stream::Stdout, b"12345678");
        whole.print(Stream::Stderr, b"1234");
        assert_eq!(spill.used(), 0);
        whole.print(Stream::Stderr, b"56789");
        let taken = whole.take();
        let [(name, long)] = taken.as_slice() else { panic!("not one") };
        assert_eq!((*name, text(long).as_str(), long.is_whole), ("stderr", "123456789", true));

        whole.print(Stream::Stdout, b"abcdefghijk");
        whole.print(Stream::Stdout, b"lm");
        let taken = whole.take();
        let [(name, long)] = taken.as_slice() else { panic!("not one") };
        assert_eq!((*name, text(long).as_str(), long.is_whole), ("stdout", "abcdefghijk", false));
    }

    #[test]
    fn a_full_disk_ends_what_is_kept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::open(folder.path(), 1 << 20).unwrap();
        let mut whole = Whole::new(Some(spill), 8, u64::MAX);
        for _ in 0..3 {
            whole.print(Stream::Stdout, &vec![b'x'; 700_000]);
        }
        let taken = whole.take();
        assert!(matches!(taken.as_slice(), [(_, long)] if !long.is_whole && text(long).len() == 700_000));
    }
}
