// liburcu's quiescent-state-based flavour (QSBR): its entry points are macros, Swift needs functions.
#pragma once
#ifndef APUS_THREAD_SANITIZER
// Its short functions inline.
#define _LGPL_SOURCE
#endif
#include <urcu-qsbr.h>

// ThreadSanitizer sees the compiler's atomic operations, but not liburcu's: an exchange in assembler (urcu/uatomic/x86.h),
// and grace periods that pass inside the library. With APUS_THREAD_SANITIZER (tools/sanitize) it is told what they order:
// a published value before whoever dereferences it, and a reader's quiescent state before the end of the grace period
// that waited for it. liburcu's own words (volatile, shared) stay inside the library then, where nothing is checked.
#ifdef APUS_THREAD_SANITIZER
extern struct urcu_gp urcu_qsbr_gp;
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define APUS_TSAN_ACQUIRE(address) __tsan_acquire((void *)(address))
#define APUS_TSAN_RELEASE(address) __tsan_release((void *)(address))
#else
#define APUS_TSAN_ACQUIRE(address) ((void)0)
#define APUS_TSAN_RELEASE(address) ((void)0)
#endif

static inline void apus_rcu_register_thread(void) { urcu_qsbr_register_thread(); }
static inline void apus_rcu_unregister_thread(void) {
    APUS_TSAN_RELEASE(&urcu_qsbr_gp);
    urcu_qsbr_unregister_thread();
}
static inline void apus_rcu_quiescent_state(void) {
    APUS_TSAN_RELEASE(&urcu_qsbr_gp);
    urcu_qsbr_quiescent_state();
}
static inline void apus_rcu_thread_offline(void) {
    APUS_TSAN_RELEASE(&urcu_qsbr_gp);
    urcu_qsbr_thread_offline();
}
static inline void apus_rcu_thread_online(void) { urcu_qsbr_thread_online(); }
static inline void apus_rcu_synchronize(void) {
    urcu_qsbr_synchronize_rcu();
    APUS_TSAN_ACQUIRE(&urcu_qsbr_gp);
}
static inline void *apus_rcu_dereference(void *const *slot) {
    void *value = rcu_dereference(*slot);
    APUS_TSAN_ACQUIRE(slot);
    return value;
}
static inline void *apus_rcu_exchange(void **slot, void *value) {
    APUS_TSAN_RELEASE(slot);
    void *old = rcu_xchg_pointer(slot, value);
    APUS_TSAN_ACQUIRE(slot);
    return old;
}
