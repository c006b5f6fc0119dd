// swift-tools-version: 6.2
import PackageDescription

/// Programs of one feature each, and what they need besides Qudo and QudoSQLite. Their last lines say what they print.
let small: [(name: String, needs: [Target.Dependency])] = [
  ("QuickStart", []),
  ("Batch", []),
  ("Blocking", []),
  ("CompleteInTransaction", [grdb]),
  ("Debounce", [qudo("QudoTesting")]),
  ("Delayed", [qudo("QudoTesting")]),
  ("Deployment", []),
  ("FairShare", []),
  ("Fleet", []),
  ("Hooks", []),
  ("Idempotent", []),
  ("MessagePack", [qudo("QudoMessagePack")]),
  ("Nightly", [qudo("QudoSchedules"), qudo("QudoTesting")]),
  ("OneAtATime", []),
  ("RateLimited", []),
  ("RatePerKey", []),
  ("Ordered", []),
  ("Plugins", []),
  ("Priorities", []),
  ("Progress", [grdb]),
  ("Retry", [qudo("QudoTesting")]),
  ("Spool", []),
  ("StopAfterFailure", []),
  ("TestingJobs", [qudo("QudoTesting")]),
  ("TimeLimit", []),
  ("Transaction", [grdb]),
  ("Unique", []),
]

/// Three bigger programs.
let big: [(name: String, needs: [Target.Dependency])] = [
  // A command-line tool that works in the background.
  ("Squeeze", []),
  // A daemon of several services.
  (
    "Reports",
    [
      qudo("QudoMetrics"), qudo("QudoServiceLifecycle"),
      .product(name: "Logging", package: "swift-log"),
      .product(name: "Metrics", package: "swift-metrics"),
      .product(name: "MetricsTestKit", package: "swift-metrics"),
      .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    ]
  ),
  // An application that enqueues in its own transaction.
  ("Shop", [grdb]),
]

func qudo(_ product: String) -> Target.Dependency { .product(name: product, package: "qudo") }
var grdb: Target.Dependency { .product(name: "GRDB", package: "GRDB.swift") }

// Programs that use Qudo as others would. `Tests/Examples/run` builds and runs them; README.md lists them. The tests with GRDB
// are here too, so that Qudo itself does not depend on GRDB, and both packages are compiled once.
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
  targets: (big + small).map { program in
    .executableTarget(name: program.name, dependencies: [qudo("Qudo"), qudo("QudoSQLite")] + program.needs)
  } + [
    .executableTarget(
      name: "AppProcess",
      dependencies: [
        qudo("Qudo"), qudo("QudoSQLite"), grdb, .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/AppProcess"),
    // Links to those of Qudo's own tests.
    .target(name: "CSpawn", path: "Tests/CSpawn"),
    .target(name: "ProcessSupport", dependencies: ["CSpawn"], path: "Tests/ProcessSupport"),
    .testTarget(
      name: "GRDBTests",
      dependencies: [
        "AppProcess", "ProcessSupport", qudo("Qudo"), qudo("QudoSQLite"), qudo("QudoTesting"), grdb,
      ]),
  ],
  swiftLanguageModes: [.v6]
)
