// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "qudo",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Qudo", targets: ["Qudo"]),
    .library(name: "QudoSQLite", targets: ["QudoSQLite"]),
    .library(name: "QudoMySQL", targets: ["QudoMySQL"]),
    .library(name: "QudoImport", targets: ["QudoImport"]),
    .library(name: "QudoMessagePack", targets: ["QudoMessagePack"]),
    .library(name: "QudoCompression", targets: ["QudoCompression"]),
    .library(name: "QudoEncryption", targets: ["QudoEncryption"]),
    .library(name: "QudoTesting", targets: ["QudoTesting"]),
    .library(name: "QudoSchedules", targets: ["QudoSchedules"]),
    .library(name: "QudoMetrics", targets: ["QudoMetrics"]),
    .library(name: "QudoDashboard", targets: ["QudoDashboard"]),
    .library(name: "QudoServiceLifecycle", targets: ["QudoServiceLifecycle"]),
    .library(name: "QudoTracing", targets: ["QudoTracing"]),
    // The target is not called `qudo`: on a case-insensitive file system, its folders would be those of `Qudo`.
    .executable(name: "qudo", targets: ["QudoCommand"]),
  ],
  // Each trait guards the packages that one product needs: leave a trait off, and SwiftPM does not fetch them.
  traits: [
    .trait(
      name: "Compression",
      description: "QudoCompression, a codec that compresses payloads, with the system's zlib."),
    .trait(
      name: "Dashboard",
      description: "QudoDashboard and qudo serve, a web page of the queue, with Hummingbird."),
    .trait(
      name: "Encryption", description: "QudoEncryption, a codec that encrypts payloads, with swift-crypto."),
    .trait(name: "Metrics", description: "QudoMetrics, a hook and a plugin for swift-metrics."),
    .trait(name: "Tracing", description: "QudoTracing, a hook for swift-distributed-tracing."),
    .trait(
      name: "MySQL",
      description: "QudoMySQL, the driver for MySQL and MariaDB servers, with the system's libmariadb."),
    .trait(
      name: "ServiceLifecycle",
      description: "QudoServiceLifecycle, a worker as a service of swift-service-lifecycle."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.0"),
    // Without its traits: they are for configuration files, which the dashboard has none of.
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    // What the drivers of SQL databases share.
    .target(name: "QudoSQLSupport", dependencies: ["Qudo"]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "Qudo", dependencies: [.product(name: "Logging", package: "swift-log")]),
    .target(
      name: "QudoSQLite",
      dependencies: ["Qudo", "QudoSQLSupport", "CSQLite", .product(name: "Logging", package: "swift-log")],
      // Read by people, and by a test.
      exclude: ["Schema/schema.sql"]),
    .systemLibrary(name: "CMariaDB", pkgConfig: "libmariadb", providers: [.apt(["libmariadb-dev"])]),
    // Without the trait it has only the URLs of databases, which the command reads.
    .target(
      name: "QudoMySQL",
      dependencies: [
        "Qudo", "QudoSQLSupport", .target(name: "CMariaDB", condition: .when(traits: ["MySQL"])),
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(name: "QudoImport", dependencies: ["Qudo", "QudoSQLSupport", "QudoSQLite"]),
    .target(name: "QudoMessagePack", dependencies: ["Qudo"]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "QudoCompression",
      dependencies: ["Qudo", .target(name: "CZlib", condition: .when(traits: ["Compression"]))]),
    .target(
      name: "QudoEncryption",
      dependencies: [
        "Qudo", .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["Encryption"])),
      ]),
    .target(name: "QudoTesting", dependencies: ["Qudo"]),
    .target(name: "QudoSchedules", dependencies: ["Qudo", .product(name: "Logging", package: "swift-log")]),
    .target(
      name: "QudoMetrics",
      dependencies: [
        "Qudo", .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
      ]),
    .target(
      name: "QudoDashboard",
      dependencies: [
        "Qudo", "QudoMonitor", "QudoSchedules", .product(name: "Logging", package: "swift-log"),
        .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Dashboard"])),
        .product(name: "HummingbirdCore", package: "hummingbird", condition: .when(traits: ["Dashboard"])),
        .product(name: "HTTPTypes", package: "swift-http-types", condition: .when(traits: ["Dashboard"])),
        .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Dashboard"])),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras", condition: .when(traits: ["Dashboard"])),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["Dashboard"])),
      ]),
    .target(
      name: "QudoServiceLifecycle",
      dependencies: [
        "Qudo",
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
      ]),
    .target(
      name: "QudoTracing",
      dependencies: [
        "Qudo",
        .product(
          name: "Tracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
      ]),
    // The samples of both dashboards.
    .target(name: "QudoMonitor", dependencies: ["Qudo"]),
    // It depends on the C modules because its baselines call SQLite and libmariadb directly.
    .target(
      name: "QudoBench",
      dependencies: [
        "Qudo", "QudoSQLite", "CSQLite", .target(name: "QudoMySQL", condition: .when(traits: ["MySQL"])),
        .target(name: "CMariaDB", condition: .when(traits: ["MySQL"])),
      ]),
    .executableTarget(
      name: "QudoCommand",
      dependencies: [
        "Qudo", "QudoImport", "QudoMySQL", "QudoSQLite", "QudoSchedules", "QudoMonitor", "QudoBench",
        .target(name: "QudoDashboard", condition: .when(traits: ["Dashboard"])),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      // For distributors, and for tests.
      exclude: ["Packaging"]),
    .testTarget(
      name: "QudoTests",
      dependencies: [
        "Qudo", "QudoSQLite", "QudoTesting", "ForwardingDriver",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "InMemoryLogging", package: "swift-log"),
      ]),
    .testTarget(name: "QudoSQLSupportTests", dependencies: ["Qudo", "QudoSQLSupport", "QudoTesting"]),
    .testTarget(
      name: "QudoSQLiteTests",
      dependencies: [
        "Qudo", "QudoMessagePack", "QudoSQLite", "QudoTesting", "CSQLite", "ProcessSupport",
        "ForwardingDriver", "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(
      name: "QudoMySQLTests",
      dependencies: [
        "Qudo", "QudoMySQL", "QudoSQLite", "QudoTesting", "Evidence", "FaultyNetwork", "MariaDBServer",
        .target(name: "CMariaDB", condition: .when(traits: ["MySQL"])),
      ]),
    .testTarget(
      name: "QudoImportTests",
      dependencies: ["Qudo", "QudoImport", "QudoSQLite", "QudoTesting", "CSQLite", "TestSupport"]),
    .testTarget(
      name: "QudoMessagePackTests", dependencies: ["Qudo", "QudoMessagePack", "QudoTesting"],
      exclude: ["vectors.json", "vectors.py"]),
    .testTarget(
      name: "QudoCompressionTests",
      dependencies: ["Qudo", "QudoCompression", "QudoMessagePack", "QudoTesting"]),
    .testTarget(
      name: "QudoEncryptionTests",
      dependencies: [
        "Qudo", "QudoCompression", "QudoEncryption", "QudoMessagePack", "QudoSQLite", "QudoTesting",
      ]),
    .target(
      name: "TestSupport", dependencies: ["Qudo", "QudoSQLite", "CSQLite"], path: "Tests/Support/TestSupport"),
    .target(name: "ForwardingDriver", dependencies: ["Qudo"], path: "Tests/Support/ForwardingDriver"),
    .testTarget(name: "QudoTestingTests", dependencies: ["Qudo", "QudoTesting", "ForwardingDriver"]),
    .target(name: "Evidence", path: "Tests/Support/Evidence"),
    .target(name: "CSpawn", path: "Tests/Support/CSpawn"),
    // All tests are in one bundle, so that one dependency bounds how many of them run at a time.
    .target(name: "CTestWidth", path: "Tests/Support/CTestWidth"),
    .target(
      name: "ProcessSupport", dependencies: ["CSpawn", "CTestWidth"], path: "Tests/Support/ProcessSupport"),
    .target(name: "MariaDBServer", dependencies: ["ProcessSupport"], path: "Tests/Support/MariaDBServer"),
    .target(name: "FaultyNetwork", path: "Tests/Support/FaultyNetwork"),
    .testTarget(name: "FaultyNetworkTests", dependencies: ["FaultyNetwork"]),
    .testTarget(
      name: "ModelTests",
      dependencies: [
        "Qudo", "QudoSQLite", "QudoTesting", .target(name: "QudoMySQL", condition: .when(traits: ["MySQL"])),
        "CSQLite", "Evidence",
        "ForwardingDriver", "MariaDBServer",
      ], exclude: ["Scripts"]),
    .testTarget(
      name: "InterleavingTests",
      dependencies: [
        "Qudo", "QudoSQLite", "QudoTesting", .target(name: "QudoMySQL", condition: .when(traits: ["MySQL"])),
        "CSQLite", "Evidence",
        "MariaDBServer", .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(name: "MariaDBServerTests", dependencies: ["MariaDBServer", "ProcessSupport"]),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "Qudo", "QudoCommand", "QudoMonitor", "QudoSQLite", "QudoTesting", "Evidence", "MariaDBServer",
        "ProcessSupport", "CSQLite",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      // What screens look like, for a test.
      exclude: ["Top/Screens"]),
    .testTarget(
      name: "QudoSchedulesTests",
      dependencies: [
        "Qudo", "ForwardingDriver", "QudoSchedules", "QudoSQLite", "QudoTesting",
        .product(name: "Logging", package: "swift-log"),
      ],
      exclude: ["vectors.py", "vectors.txt"]),
    .testTarget(
      name: "QudoMetricsTests",
      dependencies: [
        "Qudo", "ForwardingDriver", "QudoMetrics", "QudoSQLite", "QudoTesting",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
        .product(name: "MetricsTestKit", package: "swift-metrics", condition: .when(traits: ["Metrics"])),
      ]),
    .testTarget(
      name: "QudoDashboardTests",
      dependencies: [
        "Qudo", "ForwardingDriver", "QudoDashboard", "QudoMonitor", "QudoSQLite", "QudoTesting",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Dashboard"])),
        .product(name: "HummingbirdCore", package: "hummingbird", condition: .when(traits: ["Dashboard"])),
        .product(name: "HTTPTypes", package: "swift-http-types", condition: .when(traits: ["Dashboard"])),
        .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Dashboard"])),
        .product(name: "NIOEmbedded", package: "swift-nio", condition: .when(traits: ["Dashboard"])),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras", condition: .when(traits: ["Dashboard"])),
      ]),
    .testTarget(
      name: "QudoMonitorTests",
      dependencies: ["Qudo", "ForwardingDriver", "QudoMonitor", "QudoSQLite", "QudoTesting", "TestSupport"]),
    .testTarget(
      name: "QudoServiceLifecycleTests",
      dependencies: [
        "Qudo", "QudoServiceLifecycle", "QudoTesting", .product(name: "Logging", package: "swift-log"),
        .product(
          name: "ServiceLifecycle", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
        .product(
          name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle",
          condition: .when(traits: ["ServiceLifecycle"])),
      ]),
    .testTarget(
      name: "QudoTracingTests",
      dependencies: [
        "Qudo", "QudoTracing", "QudoTesting",
        .product(
          name: "Tracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
        .product(
          name: "InMemoryTracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])
        ),
      ]),
    .executableTarget(
      name: "TortureProcess",
      dependencies: [
        "Qudo", "QudoSQLite", "QudoTesting", "CSQLite",
        .target(name: "QudoMySQL", condition: .when(traits: ["MySQL"])),
        .product(name: "Logging", package: "swift-log"),
      ], path: "Tests/Support/TortureProcess"),
    .target(name: "CFaultyDisk", dependencies: ["CSQLite"], path: "Tests/Support/CFaultyDisk"),
    .target(
      name: "FaultyDisk", dependencies: ["CFaultyDisk", "CSQLite", "Qudo", "QudoTesting"],
      path: "Tests/Support/FaultyDisk"),
    .testTarget(
      name: "DiskFaultTests",
      dependencies: [
        "Qudo", "QudoImport", "QudoSQLite", "QudoTesting", "CSQLite", "Evidence", "FaultyDisk",
        .product(name: "Logging", package: "swift-log"),
      ]),
    // It replaces SQLite's allocator, descriptors and limits, so only a separate process links it.
    .target(name: "CScarcity", dependencies: ["CSQLite"], path: "Tests/Support/CScarcity"),
    .executableTarget(
      name: "ScarcityProcess",
      dependencies: [
        "Qudo", "QudoSQLite", "QudoTesting", "CSQLite", "CScarcity", "Evidence",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/Support/ScarcityProcess"),
    .testTarget(
      name: "ScarcityTests",
      dependencies: ["Qudo", "QudoSQLite", "QudoTesting", "CSQLite", "Evidence", "ProcessSupport"]),
    .executableTarget(
      name: "HostileFileProcess",
      dependencies: [
        "Qudo", "QudoImport", "QudoSQLite", "QudoTesting", "CSQLite",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/Support/HostileFileProcess"),
    .testTarget(
      name: "HostileFileTests",
      dependencies: [
        "Qudo", "QudoCommand", "QudoSQLite", "CSQLite", "Evidence", "HostileFileProcess", "ProcessSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "InMemoryLogging", package: "swift-log"),
      ]),
    .executableTarget(
      name: "HookCounts", dependencies: ["Qudo"], path: "Tests/Evidence/HookCounts", exclude: ["count"]),
    .testTarget(
      name: "TortureTests",
      dependencies: [
        "Qudo", "QudoSQLite", "QudoTesting", .target(name: "QudoMySQL", condition: .when(traits: ["MySQL"])),
        "CSQLite", "MariaDBServer",
        "TortureProcess", "ProcessSupport", "TestSupport",
      ]),
    .testTarget(
      name: "ServerTortureTests",
      dependencies: [
        "Evidence", "FaultyNetwork", "MariaDBServer", "ProcessSupport", "Qudo", "QudoTesting",
        "TortureProcess",
        .target(name: "QudoMySQL", condition: .when(traits: ["MySQL"])),
        .target(name: "CMariaDB", condition: .when(traits: ["MySQL"])),
      ]),
  ],
  swiftLanguageModes: [.v6]
)

// Set by scripts that run only some of the tests: their builds leave out what these do not need, the command above all.
if let only = Context.environment["QUDO_TARGETS"]?.split(separator: ",").map(String.init) {
  var needed = Set<String>()
  func need(_ name: String) {
    guard let target = package.targets.first(where: { $0.name == name }), needed.insert(name).inserted else {
      return
    }
    for dependency in target.dependencies {
      switch dependency {
      case .targetItem(let name, _), .byNameItem(let name, _): need(name)
      default: break
      }
    }
  }
  only.forEach(need)
  package.targets.removeAll { !needed.contains($0.name) }
  package.products.removeAll { product in
    let targets = (product as? Product.Library)?.targets ?? (product as? Product.Executable)?.targets
    return !needed.isSuperset(of: targets ?? [])
  }
}

// The harnesses of the article "Evidence"; all other tests are in Tests/Unit.
let harnesses = [
  "DiskFaultTests", "HostileFileTests", "InterleavingTests", "ModelTests", "ScarcityTests",
  "ServerTortureTests",
  "TortureTests",
]
for target in package.targets where target.isTest {
  target.path = "Tests/\(harnesses.contains(target.name) ? "Evidence" : "Unit")/\(target.name)"
}

for target in package.targets
where target.type != .system && !["CSpawn", "CTestWidth", "CFaultyDisk", "CScarcity"].contains(target.name) {
  target.swiftSettings = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ]
  // Set by `.ci/run`: its builds treat warnings as errors, so the check needs no build of its own.
  if Context.environment["QUDO_STRICT"] != nil { target.swiftSettings?.append(.treatAllWarnings(as: .error)) }
}
