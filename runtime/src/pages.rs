//! Restores a used linear memory to the snapshot, page by page, on an unmodified wasmtime.
//!
//! The kernel knows which pages of a copy-on-write mapping were written: `PAGEMAP_SCAN` (Linux 6.7) lists them. Each is
//! compared with the snapshot and copied back where it differs.
//!
//! The list is kept between runs. A page can only join it by a page fault, on the thread that writes to it; so a run
//! whose threads had no fault needs no new scan, which takes longer than the copying. (Were pages collapsed into huge
//! ones behind our back, one could join without a fault: [`Written::new`] forbids that for the range.)
#![expect(unsafe_code, reason = "ioctl and madvise on ranges that the caller borrows mutably, and getrusage")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Bytes of a page. On a machine with larger ones [`Scanner::probe`] fails, and slots are not recycled.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a large page.
const HUGE: usize = 2 << 20;
/// Most regions asked for in one scan: with more than 512, Linux 6.18 was seen to answer with a stale `walk_end`.
const MOST_REGIONS: usize = 512;
/// From one page to the next that [`drops_to_image`] looks at.
const PROBE_DISTANCE: usize = 64 * PAGE;
/// Unchanged dirty pages that a slot keeps: a later run may write them again, and then saves the page fault.
const SPARE_PAGES: usize = 64;
/// Restores between two droppings of unchanged pages. A page that a run wrote and left as it was (a reference count, up and
/// down) looks like one that no run needs any more; dropping it after every run would cost each its page faults.
const RESTORES_BETWEEN_DROPS: u32 = 32;

/// How used instances become as good as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recycling {
    /// Written pages are copied back from the snapshot.
    Pages,
    /// They are dropped, and made anew from the copy-on-write image.
    Fresh,
}

impl Recycling {
    /// Whether this kernel and container offer what [`Self::Pages`] needs.
    ///
    /// # Errors
    /// With what is missing.
    pub fn available() -> io::Result<()> {
        Scanner::probe().map(|_| ())
    }
}

/// What one restore did, in pages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Restored {
    pub(crate) scanned: bool,
    pub(crate) written: usize,
    pub(crate) copied: usize,
    pub(crate) dropped: usize,
}

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::Ioctl = libc::_IOWR::<ScanArgument>(b'f' as u32, 16);
const IS_FILE: u64 = 1 << 2;
const IS_PRESENT: u64 = 1 << 3;
const IS_SWAPPED: u64 = 1 << 4;
const IS_ZERO: u64 = 1 << 5;

/// Finds written pages.
#[derive(Debug)]
pub(crate) struct Scanner(File);

impl Scanner {
    /// Tries the call out. An error says that this kernel, or this container, does not have it.
    pub(crate) fn probe() -> io::Result<Self> {
        if rustix::param::page_size() != PAGE {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let scanner = Self(File::open("/proc/self/pagemap")?);
        scanner.scan(0, 0, |_, _| {})?;
        Ok(scanner)
    }

    /// Calls `found` with the start and end of each run of written pages, as offsets from the address `base`.
    fn scan(&self, base: usize, length: usize, mut found: impl FnMut(usize, usize)) -> io::Result<()> {
        let base = base as u64;
        let end = base + length as u64;
        let mut regions = [Region::default(); MOST_REGIONS];
        let mut start = base;
        loop {
            let mut argument = ScanArgument {
                size: size_of::<ScanArgument>() as u64,
                start,
                end,
                vec: regions.as_mut_ptr().addr() as u64,
                vec_len: regions.len() as u64,
                // Neither the image's file pages nor the kernel's zero page: those were only read.
                category_inverted: IS_FILE | IS_ZERO,
                category_mask: IS_FILE | IS_ZERO,
                // A written page that was swapped out is written all the same.
                category_anyof_mask: IS_PRESENT | IS_SWAPPED,
                ..ScanArgument::default()
            };
            // SAFETY: the kernel reads `argument`, writes its `walk_end`, and writes at most `vec_len` regions to
            // `vec`; both outlive the call. It changes nothing of the range it scans (no write-protect flag is set).
            let count = unsafe { libc::ioctl(self.0.as_raw_fd(), PAGEMAP_SCAN, &raw mut argument) };
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            for region in regions.iter().take(count) {
                let offset = |address: u64| usize::try_from(address.saturating_sub(base)).unwrap_or(usize::MAX);
                found(offset(region.start), offset(region.end));
            }
            if argument.walk_end >= end {
                return Ok(());
            }
            if argument.walk_end <= start {
                return Err(io::Error::other("the page scan did not advance"));
            }
            start = argument.walk_end;
        }
    }
}

/// The pages of one memory that were written since it was mapped, as far as we know.
#[derive(Debug)]
pub(crate) struct Written {
    /// Offsets, in order.
    pages: Vec<usize>,
    scanned: bool,
    /// Restores since unchanged pages were dropped.
    restores: u32,
}

impl Written {
    /// For a `memory` of which nothing is known yet.
    pub(crate) fn new(memory: &mut [u8]) -> Self {
        // SAFETY: only forbids huge pages in the range. An error means that this kernel has none.
        unsafe { libc::madvise(memory.as_mut_ptr().cast(), memory.len(), libc::MADV_NOHUGEPAGE) };
        Self { pages: Vec::new(), scanned: false, restores: 0 }
    }

    /// Makes `memory` equal to `pristine`, of the same length, after a run with `faults` page faults.
    pub(crate) fn restore(
        &mut self,
        scanner: &Scanner,
        memory: &mut [u8],
        pristine: &[u8],
        faults: u64,
    ) -> io::Result<Restored> {
        let mut done = Restored::default();
        if faults > 0 || !self.scanned {
            self.pages.clear();
            let pages = &mut self.pages;
            scanner
                .scan(memory.as_ptr().addr(), memory.len(), |start, end| pages.extend((start..end).step_by(PAGE)))?;
            self.scanned = true;
            done.scanned = true;
        }
        done.written = self.pages.len();
        let mut unchanged = Vec::new();
        for page in &self.pages {
            let (Some(live), Some(clean)) = (memory.get_mut(*page..page + PAGE), pristine.get(*page..page + PAGE))
            else {
                return Err(io::Error::other("the page scan left the memory"));
            };
            if live == clean {
                unchanged.push(*page);
            } else {
                live.copy_from_slice(clean);
                done.copied += 1;
            }
        }
        self.restores += 1;
        if unchanged.len() > SPARE_PAGES && self.restores >= RESTORES_BETWEEN_DROPS {
            self.restores = 0;
            done.dropped = unchanged.len();
            drop_pages(memory, &unchanged)?;
            self.pages.retain(|page| unchanged.binary_search(page).is_err());
        }
        Ok(done)
    }
}

impl Written {
    /// The pages of `memory` that differ from `pristine`, beyond whose end all is zeros; their offsets, in order. Without a
    /// scanner, every page is compared.
    pub(crate) fn differing(scanner: Option<&Scanner>, memory: &[u8], pristine: &[u8]) -> io::Result<Vec<usize>> {
        let zeros = [0; PAGE];
        let mut pages = Vec::new();
        let differs = |at: usize| {
            let clean = pristine.get(at..at + PAGE).unwrap_or(&zeros);
            memory.get(at..at + PAGE).is_some_and(|live| live != clean)
        };
        let mut see = |start: usize, end: usize| pages.extend((start..end).step_by(PAGE).filter(|at| differs(*at)));
        match scanner {
            Some(scanner) => scanner.scan(memory.as_ptr().addr(), memory.len(), see)?,
            None => see(0, memory.len()),
        }
        Ok(pages)
    }

    /// Hears that the host wrote to the memory, outside of the polls whose faults are counted: nothing is known any more.
    pub(crate) fn forget(&mut self) {
        self.scanned = false;
    }
}

/// Has the kernel map `range` for writing at once, instead of page by page as each is written. `huge`: in large pages, where it
/// can; never for a range of which written pages are listed.
pub(crate) fn populate(range: &mut [u8], huge: bool) {
    let start = range.as_mut_ptr().addr().next_multiple_of(PAGE) - range.as_mut_ptr().addr();
    let Some(whole) = range.get_mut(start..) else { return };
    let (address, length) = (whole.as_mut_ptr().cast(), whole.len() / PAGE * PAGE);
    // SAFETY: page-aligned and borrowed mutably; the contents stay. An error (an older kernel, no memory) changes nothing: pages are then
    // mapped as they are written.
    unsafe {
        if huge {
            libc::madvise(address, length, libc::MADV_HUGEPAGE);
        }
        libc::madvise(address, length, libc::MADV_POPULATE_WRITE);
    }
}

/// An empty buffer with room for `length` bytes, mapped as [`populate`] does.
pub(crate) fn large_buffer(length: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(length);
    in_large_pages(buffer.spare_capacity_mut());
    buffer
}

/// So many zeros, none of which is in memory before it is written, and then in large pages.
pub(crate) fn large_zeros(length: usize) -> Vec<u8> {
    let mut zeros = vec![0; length];
    in_large_pages(&mut zeros);
    zeros
}

/// Has the kernel use large pages for what is not mapped yet.
fn in_large_pages<T>(range: &mut [T]) {
    let (start, length) = (range.as_mut_ptr().addr(), size_of_val(range));
    let first = start.next_multiple_of(HUGE) - start;
    let length = length.saturating_sub(first) / PAGE * PAGE;
    if length >= HUGE {
        // SAFETY: the addresses lie in the range, which is borrowed mutably; the contents stay, and only their mapping is asked for. An
        // error changes nothing.
        unsafe {
            let address = range.as_mut_ptr().cast::<u8>().add(first).cast();
            libc::madvise(address, length, libc::MADV_HUGEPAGE);
        }
    }
}

/// Page faults of this thread so far.
pub(crate) fn faults() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes to `usage`, for which zeros are a valid value besides.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    u64::try_from(usage.ru_minflt + usage.ru_majflt).unwrap_or(u64::MAX)
}

/// Gives pages back to the kernel; they read as the image again. The pages are in order.
fn drop_pages(memory: &mut [u8], pages: &[usize]) -> io::Result<()> {
    for run in pages.chunk_by(|before, after| before + PAGE == *after) {
        let (Some(first), length) = (run.first(), run.len() * PAGE) else { continue };
        let Some(range) = memory.get_mut(*first..first + length) else { continue };
        // SAFETY: the range is page-aligned and borrowed mutably. Its contents equal the image, and `drops_to_image`
        // has shown that this memory reads as the image after the call, so the borrow's contents do not change.
        let failed = unsafe { libc::madvise(range.as_mut_ptr().cast(), length, libc::MADV_DONTNEED) };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Tries out what [`Written::restore`] relies on, on a page of a new `memory` that is not all zeros: that writing to it
/// counts as a page fault, and that dropping it brings the image back. Leaves it as it was.
pub(crate) fn drops_to_image(memory: &mut [u8]) -> bool {
    let is_blank = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    // Not page by page: memory begins with the stack, and reading all its zeros takes a third of a cold start.
    let mut tried = (0..memory.len()).step_by(PROBE_DISTANCE);
    let Some(at) = tried.find(|at| memory.get(*at..at + PAGE).is_some_and(|page| !is_blank(page))) else {
        return false;
    };
    let Some(before) = memory.get(at..at + PAGE).map(<[u8]>::to_vec) else { return false };
    let Some(live) = memory.get_mut(at..at + PAGE) else { return false };
    let faults_before = faults();
    live.fill(0xA5);
    let counted = faults() > faults_before;
    let dropped = counted && drop_pages(memory, &[at]).is_ok();
    let Some(live) = memory.get_mut(at..at + PAGE) else { return false };
    let came_back = dropped && live == before;
    if !came_back {
        live.copy_from_slice(&before);
    }
    came_back
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A private mapping of a file, as wasmtime's copy-on-write images are.
    fn mapping(image: &File, length: usize) -> &'static mut [u8] {
        // SAFETY: a new mapping, never unmapped.
        unsafe {
            let address = libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE,
                image.as_raw_fd(),
                0,
            );
            assert_ne!(address, libc::MAP_FAILED);
            std::slice::from_raw_parts_mut(address.cast(), length)
        }
    }

    /// The scanner, unless this kernel or container does not have the call. Any other failure is ours.
    fn scanner() -> Option<Scanner> {
        match Scanner::probe() {
            Ok(scanner) => Some(scanner),
            Err(error) => match error.raw_os_error() {
                None | Some(libc::ENOTTY | libc::EPERM | libc::EACCES | libc::ENOENT) => None,
                Some(_) => panic!("the probe is wrong: {error}"),
            },
        }
    }

    #[test]
    fn more_regions_than_one_scan_reports_are_all_restored() {
        let Some(scanner) = scanner() else { return };
        let length = 4 * MOST_REGIONS * PAGE;
        let file = tempfile::tempfile().unwrap();
        file.set_len(length as u64).unwrap();
        let (live, clean) = (mapping(&file, length), mapping(&file, length));
        let mut written = Written::new(live);
        // Every other page, so that no two regions touch.
        for page in (0..4 * MOST_REGIONS).step_by(2) {
            live[page * PAGE + 7] = 1;
        }
        let restored = written.restore(&scanner, live, clean, 1).unwrap();
        assert_eq!((restored.written, restored.copied), (2 * MOST_REGIONS, 2 * MOST_REGIONS));
        assert!(live == clean);
        // Now they are all written and equal: before long a restore gives them back.
        for _ in 2..RESTORES_BETWEEN_DROPS {
            assert_eq!(written.restore(&scanner, live, clean, 0).unwrap().dropped, 0);
        }
        let restored = written.restore(&scanner, live, clean, 0).unwrap();
        assert_eq!((restored.scanned, restored.copied, restored.dropped), (false, 0, 2 * MOST_REGIONS));
        assert_eq!(written.restore(&scanner, live, clean, 1).unwrap().written, 0);
    }

    #[test]
    fn every_page_that_joins_is_announced_by_a_fault() {
        let Some(scanner) = scanner() else { return };
        let length = 2048 * PAGE;
        let file = tempfile::tempfile().unwrap();
        file.set_len(length as u64 / 2).unwrap();
        file.set_len(length as u64).unwrap();
        let (live, clean) = (mapping(&file, length), mapping(&file, length));
        let mut written = Written::new(live);
        written.restore(&scanner, live, clean, 1).unwrap();
        for step in [64, 7, 1] {
            // Reading first, so that the pages around are mapped, too.
            assert_eq!(live.iter().step_by(PAGE * step).map(|byte| u64::from(*byte)).sum::<u64>(), 0);
            for page in (0..2048).step_by(step) {
                let before = faults();
                live[page * PAGE] = 9;
                let faults = faults() - before;
                let known = written.pages.binary_search(&(page * PAGE)).is_ok();
                assert!(known || faults > 0, "page {page} was written without a fault");
            }
            written.restore(&scanner, live, clean, 1).unwrap();
            assert!(live == clean);
            for page in written.pages.clone() {
                live[page] = 3;
            }
            assert!(!written.restore(&scanner, live, clean, 0).unwrap().scanned);
            assert!(live == clean);
        }
    }

    #[test]
    fn what_the_host_wrote_is_found_once_the_list_is_forgotten() {
        let Some(scanner) = scanner() else { return };
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * PAGE as u64).unwrap();
        let (live, clean) = (mapping(&file, 64 * PAGE), mapping(&file, 64 * PAGE));
        let mut written = Written::new(live);
        written.restore(&scanner, live, clean, 1).unwrap();
        live[5 * PAGE] = 1;
        assert_eq!(Written::differing(Some(&scanner), live, clean).unwrap(), [5 * PAGE]);
        assert_eq!(Written::differing(None, live, clean).unwrap(), [5 * PAGE]);
        // A session's state is written outside of the polls whose faults are counted.
        written.restore(&scanner, live, clean, 0).unwrap();
        assert_ne!(live, clean);
        written.forget();
        written.restore(&scanner, live, clean, 0).unwrap();
        assert!(live == clean);
    }

    #[test]
    fn memory_beyond_the_snapshot_is_compared_with_zeros() {
        let mut live = vec![0; 4 * PAGE];
        live[3 * PAGE + 9] = 1;
        assert_eq!(Written::differing(None, &live, &[0; 2 * PAGE]).unwrap(), [3 * PAGE]);
    }

    #[test]
    fn pages_that_were_only_read_are_left_alone() {
        let Some(scanner) = scanner() else { return };
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * PAGE as u64).unwrap();
        let (live, clean) = (mapping(&file, 64 * PAGE), mapping(&file, 64 * PAGE));
        let mut written = Written::new(live);
        assert_eq!(live.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0);
        assert_eq!(written.restore(&scanner, live, clean, 1).unwrap().written, 0);
    }

    #[test]
    fn only_a_copy_on_write_mapping_drops_to_its_image() {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[5; 4 * PAGE]).unwrap();
        let (live, clean) = (mapping(&file, 4 * PAGE), mapping(&file, 4 * PAGE));
        assert!(drops_to_image(live));
        assert!(live == clean);
        let zeros = tempfile::tempfile().unwrap();
        zeros.set_len(4 * PAGE as u64).unwrap();
        let copied = mapping(&zeros, 4 * PAGE);
        copied.copy_from_slice(clean);
        assert!(!drops_to_image(copied));
        assert!(copied == clean);
    }
}
