// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that Qudo itself does not depend on GRDB.
let package = Package(
  name: "GRDBTests",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "qudo", path: "../.."),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .executableTarget(
      name: "AppProcess",
      dependencies: [
        .product(name: "Qudo", package: "qudo"),
        .product(name: "QudoSQLite", package: "qudo"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ]),
    // Links to those of Qudo's own tests.
    .target(name: "CSpawn"),
    .target(name: "ProcessSupport", dependencies: ["CSpawn"]),
    .testTarget(
      name: "GRDBTests",
      dependencies: [
        "AppProcess", "ProcessSupport",
        .product(name: "Qudo", package: "qudo"),
        .product(name: "QudoSQLite", package: "qudo"),
        .product(name: "QudoTesting", package: "qudo"),
        .product(name: "GRDB", package: "GRDB.swift"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)

for target in package.targets where target.name != "CSpawn" {
  target.swiftSettings = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ]
}
