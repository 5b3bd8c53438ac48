//! Names the WASI functions for wasmtime.

use super::Wasi;
use crate::guest::{self, State};
use wasmtime::{Caller, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wiggle::GuestMemory;

const MODULE: &str = "wasi_snapshot_preview1";

/// Defines functions that never wait, though some are `async` in the trait they come from.
macro_rules! define {
    ($linker:ident, $($name:ident($($arg:ident: $type:ty),*) $($wait:ident)?;)*) => {$(
        $linker.func_wrap(MODULE, stringify!($name), |mut caller: Caller<'_, State>, $($arg: $type),*| {
            let (mut memory, wasi) = split(&mut caller)?;
            define!(@finish preview1::$name(wasi, &mut memory, $($arg),*), $($wait)?)
        })?;
    )*};
    (@finish $call:expr,) => { $call };
    (@finish $call:expr, ready) => { wiggle::run_in_dummy_executor($call)? };
}

fn split<'a>(caller: &'a mut Caller<'_, State>) -> wasmtime::Result<(GuestMemory<'a>, &'a mut Wasi)> {
    let (bytes, guest) = guest::split(caller)?;
    Ok((GuestMemory::Unshared(bytes), &mut guest.wasi))
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker,
        args_get(a: i32, b: i32);
        args_sizes_get(a: i32, b: i32);
        clock_res_get(a: i32, b: i32);
        clock_time_get(a: i32, b: i64, c: i32);
        environ_get(a: i32, b: i32);
        environ_sizes_get(a: i32, b: i32);
        fd_advise(a: i32, b: i64, c: i64, d: i32) ready;
        fd_allocate(a: i32, b: i64, c: i64);
        fd_close(a: i32) ready;
        fd_datasync(a: i32) ready;
        fd_fdstat_get(a: i32, b: i32) ready;
        fd_fdstat_set_flags(a: i32, b: i32);
        fd_fdstat_set_rights(a: i32, b: i64, c: i64);
        fd_filestat_get(a: i32, b: i32) ready;
        fd_filestat_set_size(a: i32, b: i64) ready;
        fd_filestat_set_times(a: i32, b: i64, c: i64, d: i32) ready;
        fd_pread(a: i32, b: i32, c: i32, d: i64, e: i32) ready;
        fd_prestat_dir_name(a: i32, b: i32, c: i32);
        fd_prestat_get(a: i32, b: i32);
        fd_pwrite(a: i32, b: i32, c: i32, d: i64, e: i32) ready;
        fd_read(a: i32, b: i32, c: i32, d: i32) ready;
        fd_readdir(a: i32, b: i32, c: i32, d: i64, e: i32) ready;
        fd_renumber(a: i32, b: i32) ready;
        fd_seek(a: i32, b: i64, c: i32, d: i32) ready;
        fd_sync(a: i32) ready;
        fd_tell(a: i32, b: i32);
        fd_write(a: i32, b: i32, c: i32, d: i32) ready;
        path_create_directory(a: i32, b: i32, c: i32) ready;
        path_filestat_get(a: i32, b: i32, c: i32, d: i32, e: i32) ready;
        path_filestat_set_times(a: i32, b: i32, c: i32, d: i32, e: i64, f: i64, g: i32) ready;
        path_link(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32) ready;
        path_open(a: i32, b: i32, c: i32, d: i32, e: i32, f: i64, g: i64, h: i32, i: i32) ready;
        path_readlink(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) ready;
        path_remove_directory(a: i32, b: i32, c: i32) ready;
        path_rename(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32) ready;
        path_symlink(a: i32, b: i32, c: i32, d: i32, e: i32) ready;
        path_unlink_file(a: i32, b: i32, c: i32) ready;
        poll_oneoff(a: i32, b: i32, c: i32, d: i32) ready;
        proc_exit(a: i32);
        proc_raise(a: i32);
        random_get(a: i32, b: i32);
        sched_yield();
        sock_accept(a: i32, b: i32, c: i32);
        sock_recv(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32);
        sock_send(a: i32, b: i32, c: i32, d: i32, e: i32);
        sock_shutdown(a: i32, b: i32);
    );
    Ok(())
}
