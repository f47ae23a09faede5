// What Swift cannot import from Linux's headers: GNU extensions, macros with arguments and C11 atomics.
// Static inline only; nothing here holds state.
//
// _GNU_SOURCE must not be defined here: it changes the definition of libc types (fd_set), and the same type with two
// definitions in two modules (Swift's Glibc and this one) does not compile. What needs it is done by system call.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <malloc.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

/// What the compiler must not move; no instruction.
static inline void apus_compiler_fence(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

/// membarrier(2): afterwards every running thread of this process has passed a full fence. Registers the process for it;
/// false where the kernel does not have it.
static inline bool apus_register_membarrier(void) { return syscall(SYS_membarrier, 1 << 4, 0, 0) == 0; }
static inline void apus_membarrier(void) { (void)syscall(SYS_membarrier, 1 << 3, 0, 0); }

/// Tells the core that this is a spin loop.
static inline void apus_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

static inline void apus_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }

/// The same for memory that is about to be written: other cores lose their copies. As an instruction, because the builtin
/// makes one of it only for processors that are known to have it; the others of this architecture do nothing.
static inline void apus_prefetch_for_writing(void *p) {
#if defined(__x86_64__)
    __asm__ __volatile__("prefetchw %0" ::"m"(*(char *)p));
#else
    __builtin_prefetch(p, 1, 3);
#endif
}

// MARK: carry-less multiplication, for which Swift has no name

#if defined(__x86_64__)
typedef long long apus_pair __attribute__((vector_size(16)));

static inline bool apus_has_carryless_multiplication(void) { return __builtin_cpu_supports("pclmul") != 0; }

/// CRC-16/XMODEM (x^16 + x^12 + x^5 + 1, initial value 0) of the 16 bytes of `high` and `low`, most significant first. Leading
/// zero bytes change nothing. Both halves times x^16 are folded to 80 bits and those to 64, which Barrett's method reduces
/// (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009).
__attribute__((target("pclmul"))) static inline uint16_t apus_crc16(uint64_t high, uint64_t low) {
    // x^16 and x^80 modulo the polynomial; x^64 modulo it, and divided by it.
    const apus_pair powers = {0x1021, 0xeb23}, reduction = {0xb861, 0x111303471a041};
    apus_pair message = {(long long)low, (long long)high};
    apus_pair folded = __builtin_ia32_pclmulqdq128(message, powers, 0x00)
        ^ __builtin_ia32_pclmulqdq128(message, powers, 0x11);
    folded ^= __builtin_ia32_pclmulqdq128(folded, reduction, 0x01);
    uint64_t rest = (uint64_t)folded[0];
    apus_pair upper = {(long long)(rest >> 16), 0};
    uint64_t quotient = (uint64_t)__builtin_ia32_pclmulqdq128(upper, reduction, 0x10)[0] >> 48;
    return (uint16_t)(rest ^ quotient ^ quotient << 5 ^ quotient << 12);
}
#else
static inline bool apus_has_carryless_multiplication(void) { return false; }
static inline uint16_t apus_crc16(uint64_t high, uint64_t low) { (void)high; (void)low; return 0; }
#endif

// MARK: memory

/// Bytes that malloc has given out and not got back, over all threads.
static inline size_t apus_heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// Blocks of 512 KiB and more are mapped each by itself, and go back to the kernel when they are freed. Left alone, glibc
/// maps less and less after each such free, and keeps what it has.
static inline void apus_give_large_blocks_back(void) { mallopt(M_MMAP_THRESHOLD, 512 << 10); }

// MARK: sockets

/// accept4(2) for a non-blocking socket that is closed on exec; the peer's address is not asked for.
static inline int apus_accept_nonblocking(int listener) {
    return (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

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

/// Sleeps of the calling thread end within a microsecond or so of their time, not the usual fifty.
static inline void apus_exact_timers(void) { (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); }

/// Context switches of the calling thread since its start: because it slept, and because it was taken off its core.
static inline void apus_context_switches(uint64_t *voluntary, uint64_t *involuntary) {
    // RUSAGE_THREAD is 1; the name needs _GNU_SOURCE.
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    (void)getrusage((__rusage_who_t)1, &usage);
    *voluntary = (uint64_t)usage.ru_nvcsw;
    *involuntary = (uint64_t)usage.ru_nivcsw;
}

// MARK: time stamp counter

/// The processor's time stamp counter; 0 where there is none. Not ordered with the instructions around it: a stamp may be
/// some ten cycles off, which is less than waiting for them would cost.
static inline uint64_t apus_time_stamp(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

/// Whether that counter runs at one rate in all states of the processor (Intel SDM 18.17.1, "invariant TSC").
static inline int apus_time_stamp_is_invariant(void) {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d >> 8 & 1);
#else
    return 0;
#endif
}

// MARK: interfaces (struct ifreq is a union of pointers and values; Swift sees plain arguments)
// Each returns 0 or an errno value. `fd` is any socket.

static inline int apus_ifreq(int fd, unsigned long request, const char *name, struct ifreq *r) {
    size_t length = strlen(name);
    if (length == 0 || length >= IFNAMSIZ) return EINVAL;
    memcpy(r->ifr_name, name, length + 1);
    return ioctl(fd, request, r) == 0 ? 0 : errno;
}

static inline int apus_interface_flags(int fd, const char *name, int *flags) {
    struct ifreq r = {0};
    int code = apus_ifreq(fd, SIOCGIFFLAGS, name, &r);
    *flags = (unsigned short)r.ifr_flags;
    return code;
}

static inline int apus_interface_mtu(int fd, const char *name, int *mtu) {
    struct ifreq r = {0};
    int code = apus_ifreq(fd, SIOCGIFMTU, name, &r);
    *mtu = r.ifr_mtu;
    return code;
}

/// `type` is ARPHRD_*, 1 for Ethernet.
static inline int apus_interface_address(int fd, const char *name, uint8_t *mac, int *type) {
    struct ifreq r = {0};
    int code = apus_ifreq(fd, SIOCGIFHWADDR, name, &r);
    memcpy(mac, r.ifr_hwaddr.sa_data, 6);
    *type = r.ifr_hwaddr.sa_family;
    return code;
}

static inline int apus_ethtool(int fd, const char *name, void *command) {
    struct ifreq r = {0};
    r.ifr_data = command;
    return apus_ifreq(fd, SIOCETHTOOL, name, &r);
}

/// Creates or opens a TAP interface on an open /dev/net/tun.
static inline int apus_tap_attach(int fd, const char *name) {
    struct ifreq r = {0};
    r.ifr_flags = IFF_TAP | IFF_NO_PI;
    return apus_ifreq(fd, TUNSETIFF, name, &r);
}

static inline int apus_errno(void) { return errno; }

#ifdef APUS_POISON
// Builds with AddressSanitizer that define this (tools/fuzz, tools/sanitize) forbid every touch of memory that is free in
// one of our own pools, of which the sanitizer knows nothing else.
void __asan_poison_memory_region(void const volatile *p, size_t n);
void __asan_unpoison_memory_region(void const volatile *p, size_t n);
static inline void apus_poison(void const *p, size_t n) { __asan_poison_memory_region(p, n); }
static inline void apus_unpoison(void const *p, size_t n) { __asan_unpoison_memory_region(p, n); }
#endif
