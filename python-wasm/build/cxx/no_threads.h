/*
 * Included before every C++ file. Debian's libc++ for wasm has no threads and so no mutexes;
 * NumPy uses them around its caches. In one thread, locking is nothing.
 */
#pragma once
#include <version>
#include <__config>
#if !_LIBCPP_HAS_THREADS
#include <mutex>
#include <shared_mutex>
namespace std {
struct mutex {
    void lock() {}
    void unlock() {}
    bool try_lock() { return true; }
};
struct shared_mutex {
    void lock() {}
    void unlock() {}
    bool try_lock() { return true; }
    void lock_shared() {}
    void unlock_shared() {}
};
}
#endif
