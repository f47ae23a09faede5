// What Swift cannot import from Linux's headers: GNU extensions, macros with arguments and C11 atomics.
// Static inline only; nothing here holds state.
//
// _GNU_SOURCE must not be defined here: it changes the definition of libc types (fd_set), and the same type with two
// definitions in two modules (Swift's Glibc and this one) does not compile. What needs it is done by system call.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// MARK: atomics (C11 orderings on plain memory shared between two threads or with the kernel)

static inline uint32_t apus_load_acquire_u32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint32_t apus_load_relaxed_u32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void apus_store_release_u32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void apus_store_relaxed_u32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline uint32_t apus_exchange_u32(uint32_t *p, uint32_t v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
static inline uint64_t apus_load_acquire_u64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint64_t apus_load_relaxed_u64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void apus_store_release_u64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint64_t apus_fetch_add_u64(uint64_t *p, uint64_t v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }
static inline void apus_fence_seq_cst(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/// Tells the core that this is a spin loop.
static inline void apus_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

static inline void apus_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

// MARK: threads

#define APUS_CORE_LIMIT 1024

/// Pins the calling thread to one core. Returns 0 or an errno value.
static inline int apus_pin_to_core(int core) {
    unsigned char set[APUS_CORE_LIMIT / 8] = {0};
    if (core < 0 || core >= APUS_CORE_LIMIT) return EINVAL;
    set[core / 8] = (unsigned char)(1u << (core % 8));
    return syscall(SYS_sched_setaffinity, 0, sizeof set, set) == 0 ? 0 : errno;
}

/// Writes the cores this process may use into `cores`, returns how many (at most `capacity`).
static inline int apus_usable_cores(int *cores, int capacity) {
    unsigned char set[APUS_CORE_LIMIT / 8] = {0};
    if (syscall(SYS_sched_getaffinity, 0, sizeof set, set) < 0) return 0;
    int count = 0;
    for (int i = 0; i < APUS_CORE_LIMIT && count < capacity; i++)
        if (set[i / 8] >> (i % 8) & 1) cores[count++] = i;
    return count;
}

/// Names the calling thread; what is beyond 15 bytes is cut.
static inline void apus_name_thread(const char *name) { (void)prctl(PR_SET_NAME, name, 0, 0, 0); }

static inline int apus_errno(void) { return errno; }
