// swift-tools-version: 6.2
import PackageDescription

// Three small programs that use Qudo as others would. `Tests/Examples/run` builds and runs them.
let package = Package(
  name: "examples",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "qudo", path: "../..", traits: ["Metrics", "ServiceLifecycle"]),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // A command-line tool that works in the background.
    .executableTarget(
      name: "Squeeze",
      dependencies: [.product(name: "Qudo", package: "qudo"), .product(name: "QudoSQLite", package: "qudo")]),
    // A daemon of several services.
    .executableTarget(
      name: "Reports",
      dependencies: [
        .product(name: "Qudo", package: "qudo"),
        .product(name: "QudoSQLite", package: "qudo"),
        .product(name: "QudoPruning", package: "qudo"),
        .product(name: "QudoMetrics", package: "qudo"),
        .product(name: "QudoServiceLifecycle", package: "qudo"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
    // An application that enqueues in its own transaction.
    .executableTarget(
      name: "Shop",
      dependencies: [
        .product(name: "Qudo", package: "qudo"),
        .product(name: "QudoSQLite", package: "qudo"),
        .product(name: "GRDB", package: "GRDB.swift"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
