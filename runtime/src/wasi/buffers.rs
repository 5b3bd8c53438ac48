//! Moving bytes between a guest's buffers and what a descriptor stands for.

use super::descriptors::Node;
use super::{Errno, Wasi};
use crate::files::{Device, Id, Kind};
use rand_core::Rng;
use wasmtime_wasi::p1::types::{self, Error};
use wiggle::GuestMemory;

/// Most buffers read or written in one call, as Linux' `IOV_MAX`.
const MOST_BUFFERS: u32 = 1024;
/// Most bytes moved in one call. Buffers may overlap, so the guest's memory does not bound their sum, and nothing can
/// interrupt a call.
const MOST_BYTES: u32 = 1 << 30;

type Memory<'a> = GuestMemory<'a>;
type Result<T, E = Error> = std::result::Result<T, E>;

impl Wasi {
    /// Reads into every buffer in turn; `position` is where to begin.
    pub(super) fn read_into(
        &mut self,
        memory: &mut Memory<'_>,
        node: &Node,
        iovs: types::IovecArray,
        mut position: u64,
    ) -> Result<u32> {
        let mut total = 0_u32;
        for index in 0..iovs.len().min(MOST_BUFFERS) {
            let Some(pointer) = iovs.get(index) else { break };
            let iov = memory.read(pointer)?;
            let length = iov.buf_len.min(MOST_BYTES - total);
            let buffer = memory.as_slice_mut(iov.buf.as_array(length))?.ok_or(Errno::Notsup)?;
            let read = match node.kind {
                Kind::File => self.files.read(node.id, position, buffer).map_err(Errno::from)?,
                Kind::Device(Device::Null) => 0,
                Kind::Device(Device::Zero) => {
                    buffer.fill(0);
                    buffer.len()
                }
                Kind::Device(Device::Random) => {
                    self.random.fill_bytes(buffer);
                    buffer.len()
                }
                Kind::Folder | Kind::Link => return Err(Errno::Isdir.into()),
            };
            position = position.saturating_add(read as u64);
            total += u32::try_from(read).map_err(|_| Errno::Overflow)?;
            if read < iov.buf_len as usize {
                break;
            }
        }
        Ok(total)
    }

    /// Calls `write` with every buffer in turn; the number of bytes.
    pub(super) fn write_from(
        &mut self,
        memory: &Memory<'_>,
        iovs: types::CiovecArray,
        mut write: impl FnMut(&mut Self, u64, &[u8]) -> Result<(), Errno>,
    ) -> Result<u32> {
        let mut total = 0_u32;
        for index in 0..iovs.len().min(MOST_BUFFERS) {
            let Some(pointer) = iovs.get(index) else { break };
            let iov = memory.read(pointer)?;
            if iov.buf_len == 0 {
                continue;
            }
            let length = iov.buf_len.min(MOST_BYTES - total);
            let bytes = memory.as_slice(iov.buf.as_array(length))?.ok_or(Errno::Notsup)?;
            if let Err(errno) = write(self, u64::from(total), bytes) {
                // What was written before stays written, as POSIX has it.
                return if total > 0 { Ok(total) } else { Err(errno.into()) };
            }
            total += length;
            if length < iov.buf_len {
                break;
            }
        }
        Ok(total)
    }

    pub(super) fn write_node(
        &mut self,
        memory: &Memory<'_>,
        node: &Node,
        iovs: types::CiovecArray,
        position: u64,
    ) -> Result<u32> {
        if !node.write {
            return Err(Errno::Badf.into());
        }
        match node.kind {
            Kind::Device(_) => self.write_from(memory, iovs, |_, _, _| Ok(())),
            Kind::File => {
                let now = self.now();
                self.write_from(memory, iovs, |wasi, done, bytes| {
                    let room = wasi.room();
                    Ok(wasi.files.write(node.id, position.saturating_add(done), bytes, room, now)?)
                })
            }
            Kind::Folder | Kind::Link => Err(Errno::Isdir.into()),
        }
    }

    pub(super) fn size(&self, id: Id) -> Result<u64, Errno> {
        Ok(self.files.stat(id)?.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Library, library::Writer};
    use crate::guest::Budget;
    use crate::host::Isolated;
    use std::sync::Arc;
    use wiggle::GuestPtr;

    /// Five times this, in one place, is more than [`MOST_BYTES`].
    const LENGTH: u32 = 256 << 20;

    #[test]
    fn buffers_that_overlap_move_a_bounded_number_of_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        Writer::new(file.reopen().unwrap()).finish().unwrap();
        let library = (&Arc::new(Library::open(file.path()).unwrap())).into();
        let budget = Budget { memory: 0, limit: 1 << 20 };
        let mut wasi = Wasi::new(library, Box::new(Isolated::default()), [0; 32], budget, 0, 0);
        let mut bytes = vec![0; LENGTH as usize + 64];
        for buffer in 0..5 {
            let at = LENGTH as usize + 8 * buffer;
            bytes[at..at + 4].copy_from_slice(&0_u32.to_le_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&LENGTH.to_le_bytes());
        }
        let mut memory = GuestMemory::Unshared(&mut bytes);
        let zeros = Node {
            id: Files::ROOT,
            kind: Kind::Device(Device::Zero),
            position: 0,
            append: false,
            read: true,
            write: true,
        };
        let iovs = GuestPtr::<types::Iovec>::new(LENGTH).as_array(5);
        assert_eq!(wasi.read_into(&mut memory, &zeros, iovs, 0).unwrap(), MOST_BYTES);
        let iovs = GuestPtr::<types::Ciovec>::new(LENGTH).as_array(5);
        assert_eq!(wasi.write_node(&memory, &zeros, iovs, 0).unwrap(), MOST_BYTES);
    }
}
