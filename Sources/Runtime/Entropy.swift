import CLinux
import Glibc

/// A shard's only source of randomness: secrets, initial sequence numbers, random replies. Seeded by the kernel in the
/// server and by a number in tests and simulation. The generator is xoshiro256** (Blackman and Vigna, 2018): fast and
/// even, not cryptographic; secrets therefore come from `systemSecret` in the real server.
public struct Entropy {
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64

    /// The same seed gives the same sequence for ever.
    public init(seed: UInt64) {
        // SplitMix64 spreads the seed, so that near seeds give far states and the state is never all zero.
        var state = seed
        func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        (s0, s1, s2, s3) = (next(), next(), next(), next())
    }

    /// Seeded with the kernel's random bytes.
    public static func system() -> Entropy {
        var entropy = Entropy(seed: 0)
        withUnsafeMutableBytes(of: &entropy) { _ = getrandom($0.baseAddress!, $0.count, 0) }
        return entropy
    }

    /// 128 bits from the kernel, for secrets: whoever sees a few numbers of a generator knows the others.
    public static func systemSecret() -> (UInt64, UInt64) {
        var secret: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &secret) { bytes in
            let count = getrandom(bytes.baseAddress!, bytes.count, 0)
            precondition(count == bytes.count, "the kernel gives no random bytes")
        }
        return secret
    }

    public mutating func next() -> UInt64 {
        func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 &- k)) }
        let result = rotate(s1 &* 5, 7) &* 9
        let t = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= t
        s3 = rotate(s3, 45)
        return result
    }

    /// Uniform in 0..<bound (bound > 0), by multiplication (Lemire 2019, without the rejection: bias below 2^-32 for
    /// the small bounds used here).
    public mutating func next(below bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    /// True with the given probability.
    public mutating func chance(_ probability: Double) -> Bool {
        Double(next() >> 11) * 0x1p-53 < probability
    }
}
