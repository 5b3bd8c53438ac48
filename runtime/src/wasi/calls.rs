//! What each WASI function does in a sealed guest.

use super::descriptors::{Descriptor, Node, PREOPEN};
use super::shapes::{filestat, filetype, new_time, pipe, text};
use super::{Errno, Wasi};
use crate::files::{Kind, Open};
use crate::host::Stream;
use crate::stop::Exit;
use rand_core::Rng;
use wasmtime_wasi::p1::types::{self, Error};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

/// Random bytes made at a time; bounds the host memory behind one call.
const RANDOM_CHUNK: usize = 4096;
/// What the guest sees as the preopened root's name.
const ROOT_NAME: &[u8] = b"/";

type Memory<'a> = GuestMemory<'a>;
type Result<T, E = Error> = std::result::Result<T, E>;

impl WasiSnapshotPreview1 for Wasi {
    fn args_get(&mut self, _: &mut Memory<'_>, _: GuestPtr<GuestPtr<u8>>, _: GuestPtr<u8>) -> Result<()> {
        Ok(())
    }

    fn args_sizes_get(&mut self, _: &mut Memory<'_>) -> Result<(u32, u32)> {
        Ok((0, 0))
    }

    fn environ_get(&mut self, _: &mut Memory<'_>, _: GuestPtr<GuestPtr<u8>>, _: GuestPtr<u8>) -> Result<()> {
        Ok(())
    }

    fn environ_sizes_get(&mut self, _: &mut Memory<'_>) -> Result<(u32, u32)> {
        Ok((0, 0))
    }

    fn clock_res_get(&mut self, _: &mut Memory<'_>, _: types::Clockid) -> Result<u64> {
        Ok(1)
    }

    /// Processor time is the monotonic clock: the real one would differ from run to run.
    fn clock_time_get(&mut self, _: &mut Memory<'_>, id: types::Clockid, _: u64) -> Result<u64> {
        Ok(match id {
            types::Clockid::Realtime => self.now(),
            _ => self.monotonic(),
        })
    }

    async fn fd_advise(&mut self, _: &mut Memory<'_>, fd: types::Fd, _: u64, _: u64, _: types::Advice) -> Result<()> {
        self.descriptors.node(fd.into())?;
        Ok(())
    }

    fn fd_allocate(&mut self, _: &mut Memory<'_>, fd: types::Fd, offset: u64, length: u64) -> Result<()> {
        let node = self.descriptors.node(fd.into())?.clone();
        let end = offset.checked_add(length).ok_or(Errno::Fbig)?;
        if !node.write || node.kind != Kind::File {
            return Err(Errno::Badf.into());
        }
        if end > self.size(node.id)? {
            let (now, room) = (self.now(), self.room());
            self.files.resize(node.id, end, room, now).map_err(Errno::from)?;
        }
        Ok(())
    }

    async fn fd_close(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<()> {
        if let Descriptor::Node(node) = self.descriptors.remove(fd.into())? {
            self.files.close(node.id);
        }
        Ok(())
    }

    async fn fd_datasync(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<()> {
        self.descriptors.get(fd.into())?;
        Ok(())
    }

    async fn fd_fdstat_get(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<types::Fdstat> {
        let node = match self.descriptors.get(fd.into())? {
            Descriptor::Stdin => return Ok(pipe(types::Rights::FD_READ | types::Rights::POLL_FD_READWRITE)),
            Descriptor::Output(_) => return Ok(pipe(types::Rights::FD_WRITE | types::Rights::POLL_FD_READWRITE)),
            Descriptor::Node(node) => node,
        };
        let mut rights = types::Rights::all();
        if node.kind == Kind::Folder {
            // The C library tells a folder from a file by the missing right to seek.
            rights.remove(types::Rights::FD_SEEK | types::Rights::FD_READ | types::Rights::FD_WRITE);
        } else {
            rights.set(types::Rights::FD_READ, node.read);
            rights.set(types::Rights::FD_WRITE, node.write);
        }
        Ok(types::Fdstat {
            fs_filetype: filetype(node.kind),
            fs_flags: if node.append { types::Fdflags::APPEND } else { types::Fdflags::empty() },
            fs_rights_base: rights,
            fs_rights_inheriting: types::Rights::all(),
        })
    }

    fn fd_fdstat_set_flags(&mut self, _: &mut Memory<'_>, fd: types::Fd, flags: types::Fdflags) -> Result<()> {
        if let Descriptor::Node(node) = self.descriptors.get_mut(fd.into())? {
            node.append = flags.contains(types::Fdflags::APPEND);
        }
        Ok(())
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _: &mut Memory<'_>,
        fd: types::Fd,
        _: types::Rights,
        _: types::Rights,
    ) -> Result<()> {
        self.descriptors.get(fd.into())?;
        Err(Errno::Notsup.into())
    }

    async fn fd_filestat_get(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<types::Filestat> {
        match self.descriptors.get(fd.into())? {
            Descriptor::Node(node) => Ok(filestat(self.files.stat(node.id).map_err(Errno::from)?)),
            Descriptor::Stdin | Descriptor::Output(_) => Ok(types::Filestat {
                dev: 0,
                ino: u64::from(u32::from(fd)),
                filetype: types::Filetype::Unknown,
                nlink: 1,
                size: 0,
                atim: 0,
                mtim: 0,
                ctim: 0,
            }),
        }
    }

    async fn fd_filestat_set_size(&mut self, _: &mut Memory<'_>, fd: types::Fd, size: u64) -> Result<()> {
        let node = self.descriptors.node(fd.into())?.clone();
        if !node.write {
            return Err(Errno::Inval.into());
        }
        let (now, room) = (self.now(), self.room());
        Ok(self.files.resize(node.id, size, room, now).map_err(Errno::from)?)
    }

    async fn fd_filestat_set_times(
        &mut self,
        _: &mut Memory<'_>,
        fd: types::Fd,
        atim: u64,
        mtim: u64,
        flags: types::Fstflags,
    ) -> Result<()> {
        let id = self.descriptors.node(fd.into())?.id;
        let now = self.now();
        let accessed = new_time(flags, types::Fstflags::ATIM, types::Fstflags::ATIM_NOW, atim, now)?;
        let modified = new_time(flags, types::Fstflags::MTIM, types::Fstflags::MTIM_NOW, mtim, now)?;
        Ok(self.files.set_times(id, accessed, modified, now).map_err(Errno::from)?)
    }

    async fn fd_pread(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        iovs: types::IovecArray,
        offset: u64,
    ) -> Result<u32> {
        let node = self.descriptors.node(fd.into())?.clone();
        if !node.read {
            return Err(Errno::Badf.into());
        }
        self.read_into(memory, &node, iovs, offset)
    }

    async fn fd_read(&mut self, memory: &mut Memory<'_>, fd: types::Fd, iovs: types::IovecArray) -> Result<u32> {
        let node = match self.descriptors.get(fd.into())? {
            Descriptor::Stdin => return Ok(0),
            Descriptor::Node(node) if node.read => node.clone(),
            _ => return Err(Errno::Badf.into()),
        };
        let read = self.read_into(memory, &node, iovs, node.position)?;
        self.descriptors.node(fd.into())?.position = node.position.saturating_add(read.into());
        Ok(read)
    }

    async fn fd_pwrite(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        iovs: types::CiovecArray,
        offset: u64,
    ) -> Result<u32> {
        let node = self.descriptors.node(fd.into())?.clone();
        self.write_node(memory, &node, iovs, offset)
    }

    async fn fd_write(&mut self, memory: &mut Memory<'_>, fd: types::Fd, iovs: types::CiovecArray) -> Result<u32> {
        let node = match self.descriptors.get(fd.into())? {
            Descriptor::Output(stream) => {
                let stream: Stream = *stream;
                return self.write_from(memory, iovs, |wasi, _, bytes| {
                    wasi.print(stream, bytes);
                    Ok(())
                });
            }
            Descriptor::Stdin => return Err(Errno::Badf.into()),
            Descriptor::Node(node) => node.clone(),
        };
        let position = if node.append && node.kind == Kind::File { self.size(node.id)? } else { node.position };
        let written = self.write_node(memory, &node, iovs, position)?;
        self.descriptors.node(fd.into())?.position = position.saturating_add(written.into());
        Ok(written)
    }

    fn fd_prestat_get(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<types::Prestat> {
        if u32::from(fd) != PREOPEN {
            return Err(Errno::Badf.into());
        }
        Ok(types::Prestat::Dir(types::PrestatDir {
            pr_name_len: u32::try_from(ROOT_NAME.len()).map_err(|_| Errno::Overflow)?,
        }))
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        path: GuestPtr<u8>,
        capacity: u32,
    ) -> Result<()> {
        if u32::from(fd) != PREOPEN {
            return Err(Errno::Badf.into());
        }
        let length = u32::try_from(ROOT_NAME.len()).map_err(|_| Errno::Overflow)?;
        if capacity < length {
            return Err(Errno::Nametoolong.into());
        }
        Ok(memory.copy_from_slice(ROOT_NAME, path.as_array(length))?)
    }

    async fn fd_renumber(&mut self, _: &mut Memory<'_>, from: types::Fd, to: types::Fd) -> Result<()> {
        self.descriptors.get(to.into())?;
        if u32::from(from) == u32::from(to) {
            return Ok(());
        }
        let moved = self.descriptors.remove(from.into())?;
        if let Descriptor::Node(old) = self.descriptors.replace(to.into(), moved)? {
            self.files.close(old.id);
        }
        Ok(())
    }

    async fn fd_seek(&mut self, _: &mut Memory<'_>, fd: types::Fd, offset: i64, whence: types::Whence) -> Result<u64> {
        let node = self.descriptors.node(fd.into())?.clone();
        if node.kind == Kind::Folder {
            return Err(Errno::Isdir.into());
        }
        let base = match whence {
            types::Whence::Set => 0,
            types::Whence::Cur => node.position,
            types::Whence::End => self.size(node.id)?,
        };
        let position = base.checked_add_signed(offset).filter(|position| i64::try_from(*position).is_ok());
        let position = position.ok_or(Errno::Inval)?;
        self.descriptors.node(fd.into())?.position = position;
        Ok(position)
    }

    async fn fd_sync(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<()> {
        self.descriptors.get(fd.into())?;
        Ok(())
    }

    fn fd_tell(&mut self, _: &mut Memory<'_>, fd: types::Fd) -> Result<u64> {
        Ok(self.descriptors.node(fd.into())?.position)
    }

    async fn fd_readdir(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        buffer: GuestPtr<u8>,
        capacity: u32,
        cookie: u64,
    ) -> Result<u32> {
        let folder = self.descriptors.folder(fd.into())?;
        let skip = usize::try_from(cookie).map_err(|_| Errno::Overflow)?;
        let mut written = 0_u32;
        let mut next = cookie;
        for (name, id) in self.files.list(folder, skip).map_err(Errno::from)? {
            next += 1;
            let kind = self.files.kind(id).map_err(Errno::from)?;
            let mut entry = Vec::with_capacity(24 + name.len());
            entry.extend_from_slice(&next.to_le_bytes());
            entry.extend_from_slice(&id.inode().to_le_bytes());
            entry.extend_from_slice(&u32::try_from(name.len()).map_err(|_| Errno::Overflow)?.to_le_bytes());
            entry.extend_from_slice(&(filetype(kind) as u32).to_le_bytes());
            entry.extend_from_slice(name.as_bytes());
            let left = capacity.saturating_sub(written);
            entry.truncate(left as usize);
            let length = u32::try_from(entry.len()).map_err(|_| Errno::Overflow)?;
            memory.copy_from_slice(&entry, buffer.add(written)?.as_array(length))?;
            written += length;
            if written == capacity {
                break;
            }
        }
        Ok(written)
    }

    async fn path_create_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let (base, path, now) = (self.descriptors.folder(fd.into())?, text(memory, path)?, self.now());
        let room = self.room();
        self.files.make_folder(base, &path, room, now).map_err(Errno::from)?;
        Ok(())
    }

    async fn path_filestat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        flags: types::Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<types::Filestat> {
        let (base, path) = (self.descriptors.folder(fd.into())?, text(memory, path)?);
        let follow = flags.contains(types::Lookupflags::SYMLINK_FOLLOW);
        Ok(filestat(self.files.stat_at(base, &path, follow).map_err(Errno::from)?))
    }

    async fn path_filestat_set_times(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        lookup: types::Lookupflags,
        path: GuestPtr<str>,
        atim: u64,
        mtim: u64,
        flags: types::Fstflags,
    ) -> Result<()> {
        let (base, path, now) = (self.descriptors.folder(fd.into())?, text(memory, path)?, self.now());
        let accessed = new_time(flags, types::Fstflags::ATIM, types::Fstflags::ATIM_NOW, atim, now)?;
        let modified = new_time(flags, types::Fstflags::MTIM, types::Fstflags::MTIM_NOW, mtim, now)?;
        let follow = lookup.contains(types::Lookupflags::SYMLINK_FOLLOW);
        let id = self.files.locate(base, &path, follow).map_err(Errno::from)?;
        Ok(self.files.set_times(id, accessed, modified, now).map_err(Errno::from)?)
    }

    async fn path_link(
        &mut self,
        memory: &mut Memory<'_>,
        from: types::Fd,
        flags: types::Lookupflags,
        from_path: GuestPtr<str>,
        to: types::Fd,
        to_path: GuestPtr<str>,
    ) -> Result<()> {
        let (from, to) = (self.descriptors.folder(from.into())?, self.descriptors.folder(to.into())?);
        let (from_path, to_path, now) = (text(memory, from_path)?, text(memory, to_path)?, self.now());
        let follow = flags.contains(types::Lookupflags::SYMLINK_FOLLOW);
        let (from, room) = (self.files.locate(from, &from_path, follow).map_err(Errno::from)?, self.room());
        Ok(self.files.link(from, (to, &to_path), room, now).map_err(Errno::from)?)
    }

    async fn path_open(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        lookup: types::Lookupflags,
        path: GuestPtr<str>,
        oflags: types::Oflags,
        rights: types::Rights,
        _: types::Rights,
        fdflags: types::Fdflags,
    ) -> Result<types::Fd> {
        let (base, path, now) = (self.descriptors.folder(fd.into())?, text(memory, path)?, self.now());
        let write = rights.contains(types::Rights::FD_WRITE);
        let open = Open {
            create: oflags.contains(types::Oflags::CREAT),
            exclusive: oflags.contains(types::Oflags::EXCL),
            truncate: oflags.contains(types::Oflags::TRUNC),
            folder: oflags.contains(types::Oflags::DIRECTORY),
            write,
            follow: lookup.contains(types::Lookupflags::SYMLINK_FOLLOW),
        };
        let room = self.room();
        let (id, kind) = self.files.open(base, &path, open, room, now).map_err(Errno::from)?;
        let node = Node {
            id,
            kind,
            position: 0,
            append: fdflags.contains(types::Fdflags::APPEND),
            read: rights.contains(types::Rights::FD_READ) || kind == Kind::Folder,
            write,
        };
        match self.descriptors.add(Descriptor::Node(node)) {
            Ok(fd) => Ok(fd.into()),
            Err(errno) => {
                self.files.close(id);
                Err(errno.into())
            }
        }
    }

    async fn path_readlink(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        capacity: u32,
    ) -> Result<u32> {
        let (base, path) = (self.descriptors.folder(fd.into())?, text(memory, path)?);
        let target = self.files.read_link(base, &path).map_err(Errno::from)?.as_bytes();
        let length = u32::try_from(target.len()).unwrap_or(u32::MAX).min(capacity);
        let target = target.get(..length as usize).unwrap_or_default();
        memory.copy_from_slice(target, buffer.as_array(length))?;
        Ok(length)
    }

    async fn path_remove_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let (base, path, now) = (self.descriptors.folder(fd.into())?, text(memory, path)?, self.now());
        Ok(self.files.remove_folder(base, &path, now).map_err(Errno::from)?)
    }

    async fn path_rename(
        &mut self,
        memory: &mut Memory<'_>,
        from: types::Fd,
        from_path: GuestPtr<str>,
        to: types::Fd,
        to_path: GuestPtr<str>,
    ) -> Result<()> {
        let (from, to) = (self.descriptors.folder(from.into())?, self.descriptors.folder(to.into())?);
        let (from_path, to_path, now) = (text(memory, from_path)?, text(memory, to_path)?, self.now());
        Ok(self.files.rename((from, &from_path), (to, &to_path), now).map_err(Errno::from)?)
    }

    async fn path_symlink(
        &mut self,
        memory: &mut Memory<'_>,
        target: GuestPtr<str>,
        fd: types::Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let (base, path, target) = (self.descriptors.folder(fd.into())?, text(memory, path)?, text(memory, target)?);
        let (now, room) = (self.now(), self.room());
        Ok(self.files.make_link(base, &path, &target, room, now).map_err(Errno::from)?)
    }

    async fn path_unlink_file(&mut self, memory: &mut Memory<'_>, fd: types::Fd, path: GuestPtr<str>) -> Result<()> {
        let (base, path, now) = (self.descriptors.folder(fd.into())?, text(memory, path)?, self.now());
        Ok(self.files.unlink(base, &path, now).map_err(Errno::from)?)
    }

    /// Sleeping goes through `exuvia.start`, where it holds no thread and is an effect like any other.
    async fn poll_oneoff(
        &mut self,
        _: &mut Memory<'_>,
        _: GuestPtr<types::Subscription>,
        _: GuestPtr<types::Event>,
        _: u32,
    ) -> Result<u32> {
        Err(Errno::Notsup.into())
    }

    fn proc_exit(&mut self, _: &mut Memory<'_>, status: u32) -> wasmtime::Error {
        Exit(status).into()
    }

    fn proc_raise(&mut self, _: &mut Memory<'_>, _: types::Signal) -> Result<()> {
        Err(Errno::Notsup.into())
    }

    fn sched_yield(&mut self, _: &mut Memory<'_>) -> Result<()> {
        Ok(())
    }

    fn random_get(&mut self, memory: &mut Memory<'_>, buffer: GuestPtr<u8>, length: u32) -> Result<()> {
        let mut chunk = [0; RANDOM_CHUNK];
        let mut done = 0_u32;
        while done < length {
            let size = (length - done).min(u32::try_from(RANDOM_CHUNK).unwrap_or(u32::MAX));
            let bytes = chunk.get_mut(..size as usize).unwrap_or_default();
            self.random.fill_bytes(bytes);
            memory.copy_from_slice(bytes, buffer.add(done)?.as_array(size))?;
            done += size;
        }
        Ok(())
    }

    fn sock_accept(&mut self, _: &mut Memory<'_>, _: types::Fd, _: types::Fdflags) -> Result<types::Fd> {
        Err(Errno::Notsup.into())
    }

    fn sock_recv(
        &mut self,
        _: &mut Memory<'_>,
        _: types::Fd,
        _: types::IovecArray,
        _: types::Riflags,
    ) -> Result<(u32, types::Roflags)> {
        Err(Errno::Notsup.into())
    }

    fn sock_send(&mut self, _: &mut Memory<'_>, _: types::Fd, _: types::CiovecArray, _: types::Siflags) -> Result<u32> {
        Err(Errno::Notsup.into())
    }

    fn sock_shutdown(&mut self, _: &mut Memory<'_>, _: types::Fd, _: types::Sdflags) -> Result<()> {
        Err(Errno::Notsup.into())
    }
}
