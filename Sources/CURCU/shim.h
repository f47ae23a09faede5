// liburcu's quiescent-state-based flavour (QSBR): its entry points are macros, Swift needs functions.
#pragma once
#define _LGPL_SOURCE
#include <urcu-qsbr.h>

static inline void apus_rcu_register_thread(void) { urcu_qsbr_register_thread(); }
static inline void apus_rcu_unregister_thread(void) { urcu_qsbr_unregister_thread(); }
static inline void apus_rcu_quiescent_state(void) { urcu_qsbr_quiescent_state(); }
static inline void apus_rcu_thread_offline(void) { urcu_qsbr_thread_offline(); }
static inline void apus_rcu_thread_online(void) { urcu_qsbr_thread_online(); }
static inline void apus_rcu_synchronize(void) { urcu_qsbr_synchronize_rcu(); }
static inline void *apus_rcu_dereference(void *const *slot) { return rcu_dereference(*slot); }
static inline void *apus_rcu_exchange(void **slot, void *value) { return rcu_xchg_pointer(slot, value); }
