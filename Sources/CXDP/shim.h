// libxdp's socket half (rings as inline functions) and libbpf's low-level half (program load and link).
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // as CLinux has it: the modules must see the same fd_set
#endif
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <xdp/xsk.h>
