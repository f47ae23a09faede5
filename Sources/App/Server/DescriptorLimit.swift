import Glibc

/// How many descriptors the process may have open: each client over a kernel socket is one.
enum DescriptorLimit {
    /// Listeners, links, epoll, eventfds, the log.
    private static let ownNeed = 96

    /// Raises the soft limit as far as `clients` needs. Returns a sentence for the log when that is not allowed.
    static func raise(clients: Int) -> String? {
        let wanted = rlim_t(clients + ownNeed)
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < wanted else { return nil }
        limit.rlim_cur = min(wanted, limit.rlim_max)
        guard setrlimit(resource, &limit) == 0, limit.rlim_cur == wanted else {
            return "Only \(limit.rlim_cur) descriptors may be open, so fewer than maxclients \(clients) can connect by "
                + "kernel sockets; raise the limit with 'ulimit -n \(wanted)'"
        }
        return nil
    }
}
