// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Fuzz",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "qudo", path: "..")],
  targets: [
    .executableTarget(
      name: "FuzzCron",
      dependencies: [
        .product(name: "Qudo", package: "qudo"), .product(name: "QudoSchedules", package: "qudo"),
      ]),
    .executableTarget(
      name: "FuzzDatabaseURL",
      dependencies: [
        .product(name: "Qudo", package: "qudo"), .product(name: "QudoMySQL", package: "qudo"),
      ]),
    .executableTarget(name: "FuzzDuration", dependencies: [.product(name: "Qudo", package: "qudo")]),
    .executableTarget(
      name: "FuzzMessagePack",
      dependencies: [
        .product(name: "Qudo", package: "qudo"), .product(name: "QudoMessagePack", package: "qudo"),
      ]),
    .executableTarget(
      name: "FuzzModel",
      dependencies: [
        .product(name: "Qudo", package: "qudo"), .product(name: "QudoSQLite", package: "qudo"),
        .product(name: "QudoTesting", package: "qudo"),
      ]),
    .executableTarget(
      name: "FuzzTimeZone",
      dependencies: [
        .product(name: "Qudo", package: "qudo"), .product(name: "QudoSchedules", package: "qudo"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)

for target in package.targets {
  target.swiftSettings = [.unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library"])]
  target.linkerSettings = [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
}
