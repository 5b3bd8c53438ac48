//! What a program writes: large files on the disk, which it cannot tell from those in memory, and what it leaves behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Config, Input, Isolated, LeftOut, Limits, Outcome, Program, Spill};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use support::{Place, Ran, Stepped, config, limits};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1 << 20;

/// A sandbox with a disk.
struct OnDisk {
    place: Place,
    spill: Spill,
    _folder: TempDir,
}

impl OnDisk {
    fn new(quota: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::open(folder.path(), quota).unwrap();
        let place = Place::with(&Config { spill: Some(spill.clone()), ..config() });
        Self { place, spill, _folder: folder }
    }

    fn outcome(&self, program: &Program, limits: &Limits) -> Outcome {
        let run = self.place.sandbox.run(program, limits, Box::new(Isolated::default()), CancellationToken::new());
        self.place.runtime.block_on(run).unwrap()
    }

    fn run(&self, source: &str, limits: &Limits) -> Ran {
        self.outcome(&Program::new(source), limits).into()
    }
}

fn with_disk(mebibytes: u64) -> Limits {
    Limits { disk: mebibytes * MIB, ..limits() }
}

/// The names and contents of what was left, and what was not.
fn artifacts(outcome: &Outcome) -> (Vec<(String, Vec<u8>)>, LeftOut) {
    let artifacts = &outcome.output().artifacts;
    let files = artifacts.files.iter().map(|file| {
        let mut bytes = Vec::new();
        file.reader().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, file.size());
        (file.name.clone(), bytes)
    });
    (files.collect(), artifacts.left_out)
}

const LARGE: &str = "
import hashlib, os
block = os.urandom(1 << 20)
written, read = hashlib.blake2b(), hashlib.blake2b()
with open('x', 'wb') as file:
    for number in range(200):
        piece = number.to_bytes(4) + block[4:]
        written.update(piece)
        file.write(piece)
with open('x', 'rb') as file:
    while piece := file.read(1 << 20):
        read.update(piece)
print(os.path.getsize('x'), written.digest() == read.digest())
";

/// Seen to fail with `spill_to` left out: the program has 160 MiB of memory.
#[test]
fn a_file_larger_than_memory_is_written_and_read_again() {
    let place = OnDisk::new(256 * MIB);
    let ran = place.run(LARGE, &with_disk(256));
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", "209715200 True\n"), "{}", ran.traceback);
    assert_eq!(place.spill.used(), 0, "what the run had on the disk is still there");
}

/// The run's limit and the quota of all are the same error to a program, which goes on.
#[test]
fn a_full_disk_is_an_error_of_the_program() {
    for (quota, limit) in [(64, 8), (8, 64)] {
        let place = OnDisk::new(quota * MIB);
        let ran = place.run(include_str!("hostile/huge_file.py"), &with_disk(limit));
        let expected = "before\n51 No space left on device\n8\n8388608\nfree again\n";
        let expected = expected.replacen("8\n8388608", "8 8388608", 1);
        assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", expected.as_str()), "{}", ran.traceback);
        let ran = place.run(include_str!("hostile/sparse.py"), &with_disk(limit));
        assert_eq!(ran.ending, "finished", "{}", ran.traceback);
        assert!(
            ran.stdout.starts_with("51 No space left on device 0\n51 No space left on device 0\n"),
            "{}",
            ran.stdout
        );
        assert_eq!(place.spill.used(), 0);
    }
}

const SIGHTS: &str = "
import os, mmap, numpy as np
def look(name):
    print(name, [getattr(os.stat(name), 'st_' + field) for field in ('size', 'mtime_ns', 'ctime_ns', 'ino', 'nlink', 'mode')])
with open('x', 'w+b') as file:
    file.write(b'a' * (1 << 20))
    look('x')
    file.write(b'b' * 70_000)
    file.flush()
    look('x')
    file.seek(3_000_000)
    file.write(b'c')
    file.flush()
    file.seek(2_000_000)
    print(file.read(20), file.tell())
    file.truncate(1_048_579)
    look('x')
    file.seek(0, 2)
    print(file.tell())
os.link('x', 'y')
os.rename('x', 'z')
look('y')
np.save('n', np.arange(400_000))
print(np.load('n.npy', mmap_mode='r+')[399_999], open('z', 'rb').read()[-5:])
os.unlink('y')
os.unlink('z')
print(sorted(os.listdir()))
";

/// Sizes, times, errors and contents are the same, byte for byte: a job may be replayed where there is a disk and where there is
/// none.
#[test]
fn a_program_cannot_tell_where_its_files_lie() {
    let place = OnDisk::new(64 * MIB);
    let said = |limits: &Limits| {
        let ran = place.place.run_on(&Program::new(SIGHTS), limits, Box::new(Stepped::at(1_800_000_000))).unwrap();
        assert_eq!(ran.ending, "finished", "{}", ran.traceback);
        ran.stdout
    };
    let in_memory = said(&limits());
    assert!(in_memory.contains("b'\\x00\\x00") && in_memory.ends_with("['n.npy']\n"), "{in_memory}");
    assert_eq!(said(&with_disk(64)), in_memory);
}

#[test]
fn what_a_program_leaves_is_handed_out_whatever_ends_it() {
    let place = OnDisk::new(64 * MIB);
    let body = "
import os
os.mkdir('plots')
open('plots/a.png', 'wb').write(b'picture')
open('large', 'wb').write(b'L' * 2_000_000)
open('/tmp/scratch', 'w').write('no')
os.link('large', 'plots/again')
os.symlink('/lib', 'plots/lib')
os.symlink('../../lib', 'up')
";
    for (end, ending) in [
        ("", "finished"),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("os._exit(3)", "raised SystemExit: 3"),
        ("while True: pass", "stopped: it computed longer than its CPU limit"),
    ] {
        let limits = Limits { cpu: std::time::Duration::from_millis(1500), ..with_disk(64) };
        let outcome = place.outcome(&Program::new(format!("{body}{end}")), &limits);
        let (files, left_out) = artifacts(&outcome);
        assert_eq!(Ran::from(outcome).ending, ending);
        let names: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
        assert_eq!(names, [("large", 2_000_000), ("plots/a.png", 7), ("plots/again", 2_000_000)]);
        assert_eq!(left_out, LeftOut { links: 2, ..LeftOut::default() });
    }
    assert_eq!(place.spill.used(), 0);
}

/// Names are the program's own choice, but for the parts that lead elsewhere: those are never in a tree.
#[test]
fn hostile_names_are_names_or_counted() {
    let place = OnDisk::new(64 * MIB);
    let source = r"
import os
for name in ['../x', 'a/../../b', '/etc/passwd', '..', 'a/..', '\0', 'a' * 256, '/mnt/x', 'x/']:
    try:
        open(name, 'w').write('!')
        print('made', repr(name))
    except (OSError, ValueError) as error:
        print(type(error).__name__)
for name in ['line\nfeed', '\u202egnp.exe', 'e\u0301', '\u00e9', '<script>', 'C:\\x', '%2e%2e%2f', '-rf', ' ', '...', '~']:
    open(name, 'w').write(name)
for first in 'pq':
    path = '/'.join([first] + ['d' * 250] * 14)
    os.makedirs(path)
    open(path + '/deep', 'w').write('x')
os.rename('q', 'p/' + '/'.join(['d' * 250] * 14) + '/q')
os.unlink('p/' + '/'.join(['d' * 250] * 14) + '/deep')
";
    let outcome = place.outcome(&Program::new(source), &limits());
    let (files, left_out) = artifacts(&outcome);
    let ran = Ran::from(outcome);
    assert_eq!(ran.ending, "finished", "{}", ran.traceback);
    let refused = "PermissionError FileNotFoundError FileNotFoundError IsADirectoryError FileNotFoundError ValueError OSError \
                   OSError IsADirectoryError";
    let said: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(said.len(), refused.split_whitespace().count(), "{said:?}");
    assert!(said.iter().all(|line| !line.starts_with("made")), "{said:?}");
    let mut expected = [
        "line\nfeed",
        "\u{202e}gnp.exe",
        "e\u{301}",
        "\u{e9}",
        "<script>",
        "C:\\x",
        "%2e%2e%2f",
        "-rf",
        " ",
        "...",
        "~",
    ];
    expected.sort_unstable();
    assert!(files.iter().all(|(name, bytes)| name.as_bytes() == bytes));
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(left_out, LeftOut { too_long: 1, ..LeftOut::default() });
}

#[test]
fn only_so_many_are_handed_out_and_all_are_counted() {
    let place = OnDisk::new(64 * MIB);
    let source = "import os\nfor n in range(20_000):\n    os.close(os.open(f'{n:06}', os.O_CREAT | os.O_WRONLY))";
    let outcome = place.outcome(&Program::new(source), &limits());
    let (files, left_out) = artifacts(&outcome);
    assert_eq!(Ran::from(outcome).ending, "finished");
    assert_eq!((files.len(), files[99].0.as_str()), (100, "000099"));
    assert_eq!(left_out, LeftOut { too_many: 19_900, ..LeftOut::default() });
}

#[test]
fn a_large_input_is_read_from_where_it_lies_and_is_never_changed() {
    let place = OnDisk::new(64 * MIB);
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), vec![b'i'; 3_000_000]).unwrap();
    let file = Input::File(Arc::new(File::open(input.path()).unwrap()));
    let mut program = Program::new(
        "a = open('in/a.csv', 'rb').read()
with open('b.csv', 'r+b') as file:
    file.seek(2_999_999)
    file.write(b'!!')
len(a), a.count(b'i'), open('b.csv', 'rb').read()[-3:].decode()",
    );
    program.files = [("in/a.csv".to_owned(), file.clone()), ("b.csv".to_owned(), file)].into();
    let outcome = place.outcome(&program, &with_disk(8));
    let (files, _) = artifacts(&outcome);
    let ran = Ran::from(outcome);
    assert_eq!(ran.result, serde_json::json!([3_000_000, 3_000_000, "i!!"]), "{}", ran.traceback);
    assert_eq!(
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect::<Vec<_>>(),
        [("b.csv", 3_000_001)]
    );
    assert!(std::fs::read(input.path()).unwrap() == vec![b'i'; 3_000_000]);
}
