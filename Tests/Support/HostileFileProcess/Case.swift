import Foundation
import QudoTesting

/// A file, or what stands where a file should be.
struct Case {
  let name: String
  /// Whether the healthy file is copied there first.
  var copies = true
  /// Whether it is a file of the Perl queue, to be imported.
  var isPerl = false
  /// Makes it, at the path of a copy.
  let make: (_ path: String, _ healthy: Healthy) throws -> Void

  init(
    _ name: String, copies: Bool = true, _ make: @escaping (_ path: String, _ healthy: Healthy) throws -> Void
  ) {
    self.name = name
    self.copies = copies
    self.make = make
  }
}

enum Corpus {
  /// - Parameter seed: of what is chosen at random; the number of cases is the same for each.
  static func cases(_ healthy: Healthy, seed: UInt64) throws -> [Case] {
    var random = Seeded(seed: seed)
    return try pages(healthy, &random) + header(&random) + wals(healthy, &random) + neighbours() + places()
      + schemas() + plants()
      + values(healthy, &random) + absurdities() + perl(&random)
  }
}

/// The bytes of a file that nobody has open.
func edit(_ path: String, _ change: (inout Data) -> Void) throws {
  var data = try Data(contentsOf: URL(fileURLWithPath: path))
  change(&data)
  try data.write(to: URL(fileURLWithPath: path))
}
