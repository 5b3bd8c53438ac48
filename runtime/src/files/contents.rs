//! Reading and changing the contents of one run's files, and what that costs.

use super::content::{Content, MOST_ON_DISK, Means};
use super::node::{Body, Id};
use super::tree::Files;
use super::{Fault, Result};
use crate::spill::Spill;

/// What a run's files have on the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// None where all files stay in memory.
    pub(super) spill: Option<Spill>,
    pub(super) limit: u64,
    pub(super) used: u64,
    files: u32,
}

impl Disk {
    pub(super) fn new(spill: Option<Spill>, limit: u64) -> Self {
        Self { spill: spill.filter(|_| limit > 0), limit, ..Self::default() }
    }

    pub(super) fn add(&mut self, content: &Content) {
        self.used += content.on_disk();
        self.files += u32::from(content.is_spilled());
    }

    pub(super) fn remove(&mut self, content: &Content) {
        self.used = self.used.saturating_sub(content.on_disk());
        self.files = self.files.saturating_sub(u32::from(content.is_spilled()));
    }
}

impl Files {
    /// Reads at `offset`; the number of bytes, 0 at the end.
    pub(crate) fn read(&self, id: Id, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let read = match id {
            Id::Library(entry) => self.library.read(entry, offset, buffer),
            Id::Own(_) => match &self.own(id).ok_or(Fault::NotFound)?.body {
                Body::File(content) => content.read_at(offset, buffer),
                _ => return Err(Fault::IsFolder),
            },
        };
        read.map_err(|error| {
            tracing::error!(%error, "could not read a file for a program");
            Fault::Io
        })
    }

    /// Writes at `offset`, filling a gap with zeros. All or nothing.
    pub(crate) fn write(&mut self, id: Id, offset: u64, bytes: &[u8], room: u64, now: u64) -> Result<()> {
        self.change(id, room, now, |content, means| content.write_at(offset, bytes, means))
    }

    /// Cuts a file, or fills it up with zeros.
    pub(crate) fn resize(&mut self, id: Id, size: u64, room: u64, now: u64) -> Result<()> {
        self.change(id, room, now, |content, means| content.resize(size, means))
    }

    fn change(
        &mut self,
        id: Id,
        room: u64,
        now: u64,
        change: impl FnOnce(&mut Content, &Means<'_>) -> Result<()>,
    ) -> Result<()> {
        let memory = self.limit.saturating_sub(self.used).min(room);
        let Id::Own(index) = id else { return Err(Fault::ReadOnly) };
        let node = self.nodes.get_mut(index as usize).and_then(Option::as_mut).ok_or(Fault::ReadOnly)?;
        let Body::File(content) = &mut node.body else { return Err(Fault::IsFolder) };
        let before = content.cost();
        self.disk.remove(content);
        let disk = &self.disk;
        let spill = disk.spill.as_ref().filter(|_| disk.files < MOST_ON_DISK);
        let done =
            change(content, &Means { memory, spill, disk: disk.limit.saturating_sub(disk.used + content.on_disk()) });
        self.disk.add(content);
        let after = content.cost();
        if done.is_ok() {
            node.is_new = true;
            node.modified = now;
            node.changed = now;
        }
        self.used = (self.used + after).saturating_sub(before);
        self.peak = self.peak.max(self.used);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Open;
    use crate::files::content::Input;
    use crate::files::library::{Library, Writer};
    use rand_chacha::ChaCha12Rng;
    use rand_core::{Rng, SeedableRng};
    use std::sync::Arc;

    const MIB: u64 = 1 << 20;
    const NO_BOUND: u64 = u64::MAX;

    struct Place {
        files: Files,
        spill: Spill,
        _folder: tempfile::TempDir,
    }

    impl Place {
        /// `disk` bytes on the disk, and `memory` in memory.
        fn new(memory: u64, disk: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let library = folder.path().join("library");
            Writer::new(std::fs::File::create(&library).unwrap()).finish().unwrap();
            let mut files = Files::new((&Arc::new(Library::open(&library).unwrap())).into(), memory, 0);
            let spill = Spill::open(&folder.path().join("spill"), 1 << 30).unwrap();
            files.spill_to(Some(spill.clone()), disk);
            Self { files, spill, _folder: folder }
        }

        fn make(&mut self, name: &str) -> Id {
            let open = Open { create: true, write: true, ..Open::default() };
            self.files.open(Files::DATA, name, open, NO_BOUND, 0).unwrap().0
        }

        fn all(&self, id: Id) -> Vec<u8> {
            let mut bytes = vec![7; usize::try_from(self.files.stat(id).unwrap().size).unwrap() + 1];
            let count = self.files.read(id, 0, &mut bytes).unwrap();
            bytes.truncate(count);
            bytes
        }
    }

    /// A model file: its bytes, changed as POSIX says.
    fn changed(model: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        if model.len() < at + bytes.len() {
            model.resize(at + bytes.len(), 0);
        }
        model[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Random changes of three files, around the length at which they go to the disk, against what a `Vec` would hold, with a disk
    /// and without one. Seen to fail with a `Spilled::resize` that forgets to cut.
    #[test]
    fn a_file_is_the_same_wherever_it_lies() {
        for disk in [0, 64 * MIB] {
            let mut place = Place::new(64 * MIB, disk);
            let mut random = ChaCha12Rng::from_seed([3; 32]);
            let mut below = move |most: u64| random.next_u64() % most;
            let ids = ["a", "b", "c"].map(|name| place.make(name));
            let mut models = [const { Vec::new() }; 3];
            let mut went = 0;
            for _ in 0..600 {
                let which = usize::try_from(below(3)).unwrap();
                let (id, model) = (ids[which], &mut models[which]);
                let at = usize::try_from(below(5 * MIB / 2)).unwrap();
                match below(8) {
                    0 => {
                        place.files.resize(id, at as u64, NO_BOUND, 1).unwrap();
                        model.resize(at, 0);
                    }
                    1 => {
                        place.files.resize(id, 0, NO_BOUND, 1).unwrap();
                        model.clear();
                    }
                    _ => {
                        let bytes =
                            vec![u8::try_from(below(255)).unwrap() + 1; usize::try_from(below(90_000)).unwrap()];
                        place.files.write(id, at as u64, &bytes, NO_BOUND, 1).unwrap();
                        changed(model, at, &bytes);
                    }
                }
                assert!(place.all(id) == *model, "disk {disk}");
                went += u32::from(place.files.on_disk() > 0);
            }
            assert_eq!(went > 0, disk > 0);
            let sizes = models.iter().map(|model| model.len() as u64);
            assert!(place.files.on_disk() <= sizes.sum());
        }
    }

    /// Seen to fail with a `Means` whose `disk` is not compared, and with a `reap` that keeps what a file had on the disk.
    #[test]
    fn what_is_on_the_disk_counts_there_with_its_holes_and_is_given_back() {
        let mut place = Place::new(MIB, 10 * MIB);
        let id = place.make("a");
        place.files.write(id, 9 * MIB - 1, b"x", NO_BOUND, 0).unwrap();
        assert_eq!((place.files.on_disk(), place.spill.used()), (9 * MIB, 9 * MIB));
        assert!(place.files.used() < MIB, "it is still in memory");
        assert_eq!(place.files.write(id, 1 << 40, b"x", NO_BOUND, 0), Err(Fault::Full));
        assert_eq!(place.files.resize(id, 1 << 62, NO_BOUND, 0), Err(Fault::Full));
        assert_eq!(place.files.stat(id).unwrap().size, 9 * MIB);
        let other = place.make("b");
        assert_eq!(place.files.resize(other, 2 * MIB, NO_BOUND, 0), Err(Fault::Full));
        place.files.resize(id, 2 * MIB, NO_BOUND, 0).unwrap();
        place.files.resize(other, 2 * MIB, NO_BOUND, 0).unwrap();
        assert_eq!(place.files.on_disk(), 4 * MIB);
        for (name, id) in [("a", id), ("b", other)] {
            place.files.unlink(Files::DATA, name, 0).unwrap();
            place.files.close(id);
        }
        assert_eq!((place.files.on_disk(), place.spill.used()), (0, 0));
    }

    #[test]
    fn beyond_so_many_files_on_the_disk_the_rest_stay_in_memory() {
        let mut place = Place::new(4 * MIB, 1 << 30);
        for number in 0..MOST_ON_DISK {
            let id = place.make(&number.to_string());
            place.files.resize(id, MIB + 1, NO_BOUND, 0).unwrap();
        }
        assert!(place.files.used() < MIB);
        let id = place.make("more");
        place.files.resize(id, 2 * MIB, NO_BOUND, 0).unwrap();
        assert!(place.files.used() > 2 * MIB);
        // Those that are there can still be written to.
        let (id, _) = place.files.open(Files::DATA, "0", Open { write: true, ..Open::default() }, NO_BOUND, 0).unwrap();
        place.files.write(id, 5 * MIB, b"x", NO_BOUND, 0).unwrap();
    }

    /// Seen to fail with an `install` that marks what it gives as new.
    #[test]
    fn an_input_is_copied_when_it_is_changed_and_is_an_artifact_only_then() {
        for size in [5, 3 << 20] {
            let mut place = Place::new(MIB, 10 * MIB);
            let input = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(input.path(), vec![b'i'; size]).unwrap();
            for name in ["same", "changed"] {
                let file = Arc::new(std::fs::File::open(input.path()).unwrap());
                place.files.install(name, &Input::File(file), 0).unwrap();
            }
            let (id, _) =
                place.files.open(Files::DATA, "changed", Open { write: true, ..Open::default() }, NO_BOUND, 0).unwrap();
            assert_eq!(place.all(id), vec![b'i'; size]);
            assert_eq!((place.files.on_disk(), place.spill.used()), (0, 0));
            place.files.write(id, 1, b"!", NO_BOUND, 0).unwrap();
            assert_eq!(place.all(id)[..3], *b"i!i");
            assert!(std::fs::read(input.path()).unwrap() == vec![b'i'; size]);
            let names: Vec<_> = place.files.take_artifacts(9).files.into_iter().map(|one| one.name).collect();
            assert_eq!(names, ["changed"]);
        }
    }
}
