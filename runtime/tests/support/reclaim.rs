//! Memory pressure on this process alone.
#![expect(unsafe_code, reason = "one madvise that changes no contents")]

use rustix::mm::{Advice, madvise};

/// Asks the kernel to reclaim all guest memory: pages of the image go back to its file, and written ones are swapped out
/// where there is swap. How many mappings it took.
pub(crate) fn page_out_guests() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let guests = maps.lines().filter(|line| line.ends_with("python.cwasm") || line.contains("/memfd:"));
    let taken = guests.filter(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let start = usize::from_str_radix(start, 16).unwrap();
        let end = usize::from_str_radix(rest.split(' ').next().unwrap(), 16).unwrap();
        // SAFETY: paging out leaves the contents as they are. A mapping that has gone since is an error, not a fault.
        unsafe { madvise(std::ptr::without_provenance_mut(start), end - start, Advice::LinuxPageOut) }.is_ok()
    });
    taken.count()
}
