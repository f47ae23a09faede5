// libxdp's socket half (rings as inline functions) and libbpf's low-level half (program load and link).
#pragma once
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <xdp/xsk.h>
