// swift-tools-version: 6.1
import PackageDescription

/// Set by `make fuzz` only: the fuzzing target cannot be linked without libFuzzer (docs/testing.md).
let isFuzzing = Context.environment["APUS_FUZZ"] != nil

/// Release builds keep `precondition` (so -O, never -Ounchecked); dynamic exclusivity checks are off because
/// every object of the data path belongs to exactly one thread (docs/architecture.md, "Ownership").
let fast: [SwiftSetting] = [
    .unsafeFlags(
        ["-enforce-exclusivity=unchecked", "-Xfrontend", "-disable-stack-protector"],
        .when(configuration: .release))
]

let package = Package(
    name: "apus",
    products: [.executable(name: "apus", targets: ["apus"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .target(name: "CLinux"),
        .systemLibrary(name: "CURCU", pkgConfig: "liburcu-qsbr", providers: [.apt(["liburcu-dev"])]),
        .systemLibrary(name: "CXDP", pkgConfig: "libxdp", providers: [.apt(["libxdp-dev", "libbpf-dev"])]),
        .target(name: "Runtime", dependencies: ["CLinux", "CURCU"], swiftSettings: fast),
        .target(name: "Net", dependencies: ["Runtime", "CLinux", "CXDP"], swiftSettings: fast),
        .target(name: "Store", dependencies: ["Runtime"], swiftSettings: fast),
        .target(
            name: "App",
            dependencies: ["Runtime", "Net", "Store", .product(name: "Histogram", package: "hdrhistogram-swift")],
            swiftSettings: fast),
        .executableTarget(
            name: "apus",
            dependencies: ["App", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Sources/Main", swiftSettings: fast),
        .testTarget(name: "RuntimeTests", dependencies: ["Runtime"]),
        .testTarget(name: "NetTests", dependencies: ["Net", "Runtime"]),
        .testTarget(name: "StoreTests", dependencies: ["Store", "Runtime"]),
        .testTarget(name: "AppTests", dependencies: ["App", "Net", "Store", "Runtime"]),
        .testTarget(name: "ProjectTests"),
    ],
    swiftLanguageModes: [.v6]
)

if isFuzzing {
    // Each target with as little as it needs: libFuzzer looks at all that is instrumented after every input.
    package.targets += [
        .executableTarget(
            name: "apus-fuzz-stack", dependencies: ["Net", "Runtime"], path: "Tests/Fuzz/Stack",
            swiftSettings: fast + [.unsafeFlags(["-parse-as-library"])]),
        .executableTarget(
            name: "apus-fuzz-requests", dependencies: ["App", "Runtime"], path: "Tests/Fuzz/Requests",
            swiftSettings: fast + [.unsafeFlags(["-parse-as-library"])]),
    ]
}
