/*
 * Included before every C++ file. Debian's libc++ for wasm has no threads and so no mutexes;
 * NumPy uses them around its caches, kiwisolver and contourpy, too. In one thread, locking is nothing.
 * contourpy asks how many processors there are, and starts no thread when it is one.
 */
#pragma once
#include <version>
#include <__config>
#if !_LIBCPP_HAS_THREADS
#include <mutex>
#include <shared_mutex>
#include <system_error>
namespace std {
struct mutex {
    void lock() {}
    void unlock() {}
    bool try_lock() { return true; }
};
struct recursive_mutex : mutex {};
struct condition_variable {
    void notify_one() {}
    void notify_all() {}
    template <class Lock> void wait(Lock &) {}
};
struct thread {
    template <class... Work> explicit thread(Work &&...) { throw system_error(make_error_code(errc::not_supported)); }
    static unsigned hardware_concurrency() { return 1; }
    void join() {}
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
