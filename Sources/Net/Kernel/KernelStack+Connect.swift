import CLinux
import Glibc

/// Active opens, for a client.
extension KernelStack {
    /// Begins to connect. `.opened` follows, or `.closed` when nobody answers or the peer refuses; `connectFailure` then says
    /// why. nil: the kernel refused at once, or no descriptor is left. O(1), some system calls.
    public func connect(to address: SocketAddress, port: UInt16) -> KernelConnection? {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        // socket and connect.
        statistics.systemCalls &+= 2
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else {
            connectCode = errno
            return nil
        }
        configure(descriptor)
        let code = address.withRaw(port: port) { Glibc.connect(descriptor, $0, $1) }
        // A socket of this machine may be connected, or refused, at once: epoll tells the one and errno the other.
        guard code == 0 || errno == EINPROGRESS else {
            connectCode = errno
            Glibc.close(descriptor)
            return nil
        }
        let block = slab.allocate()
        block.initialize(to: KernelBlock(descriptor: descriptor, input: readBuffer))
        block.pointee.flags = [.connecting, .blocked]
        guard register(block) else {
            connectCode = ENOMEM
            Glibc.close(descriptor)
            slab.free(block)
            return nil
        }
        live.append(block)
        return KernelConnection(block: block)
    }

    /// Why the last active open failed, as a part of a sentence.
    public var connectFailure: String {
        switch connectCode {
        case 0: "the connection was closed"
        case ECONNREFUSED: "nobody listens there"
        case EMFILE, ENFILE: "no descriptor is left; raise the limit with 'ulimit -n'"
        case EADDRNOTAVAIL: "no port is left at this address"
        default: String(cString: strerror(connectCode))
        }
    }

    /// epoll has something to say of a socket that connects. false: the open failed, and the user is told.
    func finishConnecting(_ block: UnsafeMutablePointer<KernelBlock>) -> Bool {
        block.pointee.flags.remove(.connecting)
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        statistics.systemCalls &+= 1
        if getsockopt(block.pointee.descriptor, SOL_SOCKET, SO_ERROR, &code, &length) != 0 { code = errno }
        guard code == 0 else {
            connectCode = code
            die(block)
            return false
        }
        statistics.opened &+= 1
        block.pointee.events.insert(.opened)
        enqueue(block)
        return true
    }
}
