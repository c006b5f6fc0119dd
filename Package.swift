// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "qudo",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Qudo", targets: ["Qudo"]),
    .library(name: "QudoSQLite", targets: ["QudoSQLite"]),
    .library(name: "QudoMessagePack", targets: ["QudoMessagePack"]),
    .library(name: "QudoCompression", targets: ["QudoCompression"]),
    .library(name: "QudoEncryption", targets: ["QudoEncryption"]),
    .library(name: "QudoTesting", targets: ["QudoTesting"]),
    // The target is not called `qudo`: on a file system that folds case, its folder and its build folder
    // would be those of `Qudo`.
    .executable(name: "qudo", targets: ["QudoCommand"]),
  ],
  // Each guards packages that only one product needs: who leaves it off does not even fetch them.
  traits: [
    .trait(name: "Compression", description: "QudoCompression, a codec that compresses payloads, with the system's zlib."),
    .trait(name: "Encryption", description: "QudoEncryption, a codec that encrypts payloads, with swift-crypto."),
    .trait(name: "Metrics", description: "QudoMetrics, a hook and a plugin for swift-metrics."),
    .trait(name: "Tracing", description: "QudoTracing, a hook for swift-distributed-tracing."),
    .trait(name: "ServiceLifecycle", description: "QudoServiceLifecycle, a worker as a service of swift-service-lifecycle."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "Qudo", dependencies: [.product(name: "Logging", package: "swift-log")]),
    .target(name: "QudoSQLite", dependencies: ["Qudo", "CSQLite"]),
    .target(name: "QudoMessagePack", dependencies: ["Qudo"]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "QudoCompression", dependencies: ["Qudo", .target(name: "CZlib", condition: .when(traits: ["Compression"]))]),
    .target(
      name: "QudoEncryption",
      dependencies: ["Qudo", .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["Encryption"]))]),
    .target(name: "QudoTesting", dependencies: ["Qudo"]),
    .executableTarget(
      name: "QudoCommand",
      dependencies: [
        "Qudo", "QudoSQLite",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ]),
    .testTarget(name: "QudoTests", dependencies: ["Qudo", "QudoTesting"]),
    .testTarget(name: "QudoSQLiteTests", dependencies: ["Qudo", "QudoSQLite", "QudoTesting", "CSQLite"]),
    .testTarget(
      name: "QudoMessagePackTests", dependencies: ["Qudo", "QudoMessagePack", "QudoTesting"],
      exclude: ["vectors.json", "vectors.py"]),
    .testTarget(name: "QudoCompressionTests", dependencies: ["Qudo", "QudoCompression", "QudoMessagePack", "QudoTesting"]),
    .testTarget(
      name: "QudoEncryptionTests",
      dependencies: ["Qudo", "QudoCompression", "QudoEncryption", "QudoMessagePack", "QudoSQLite", "QudoTesting"]),
    .testTarget(name: "QudoTestingTests", dependencies: ["Qudo", "QudoTesting"]),
    .testTarget(name: "CommandTests", dependencies: ["Qudo", "QudoCommand"]),
    .executableTarget(name: "TortureProcess", dependencies: ["Qudo", "QudoSQLite", .product(name: "Logging", package: "swift-log")], path: "Tests/TortureProcess"),
    .testTarget(name: "TortureTests", dependencies: ["Qudo", "QudoSQLite", "CSQLite", "TortureProcess"]),
  ],
  swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
  target.swiftSettings = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ]
}
