import Foundation
import Qudo
import QudoSQLite

/// No descriptors while a file is opened.
struct DescriptorOpenings {
  let file: RawFile

  init(in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    file = RawFile(path: folder + "/jobs.db")
  }

  mutating func run() async throws -> String {
    var (refused, opened) = (0, 0)
    // What Dispatch opens for its timers and threads, once.
    try await SystemClock().sleep(untilSinceBoot: SystemClock().sinceBoot() + 1000)
    try await use(try SQLiteDriver(path: file.path, logger: quiet))
    for isNew in [true, false] {
      for count in 0...9 {
        if isNew { file.remove() }
        let before = Descriptors.count
        Descriptors.take(leaving: count)
        let result = Result { try SQLiteDriver(path: file.path, logger: quiet) }
        Descriptors.giveBack()
        do {
          try await use(try result.get())
          opened += 1
        } catch let error as QudoError where error.code == .tooManyFiles {
          refused += 1
          guard Descriptors.count <= before else {
            throw Broken("opening with \(count) descriptors: some were not given back")
          }
          try await use(try SQLiteDriver(path: file.path, logger: quiet))
        } catch {
          throw Broken(
            "opening with \(count) descriptors: \((error as? QudoError)?.code.description ?? ""): \(error)")
        }
      }
    }
    guard refused > 4, opened > 4 else { throw Broken("of 20 openings \(refused) were refused") }
    return "opening with 0 to 9 descriptors: \(refused) threw tooManyFiles, \(opened) opened"
  }

  private func use(_ driver: SQLiteDriver) async throws {
    let id = try await driver.insert([NewJob("a")])[0].id
    let found = try await driver.count(nil)
    guard found == [JobCount("a", ready: Int(id))] else { throw Broken("the file has not what it had") }
    await driver.close()
  }

  /// Which boot of the machine this is stands in a file: a clock that could not read it must not end the leases of others.
  static func boots(in folder: String) async throws -> String {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = folder + "/jobs.db"
    let first = try SQLiteDriver(path: path, logger: quiet)
    _ = try await first.insert([NewJob("a")])
    let lease = try await first.claim(ClaimRequest([.init("a")], limit: 1)).jobs[0].lease
    Descriptors.take(leaving: 0)
    let clock = SystemClock()
    Descriptors.giveBack()
    let second = try SQLiteDriver(path: path, clock: clock, logger: quiet)
    guard try await second.claim(ClaimRequest([.init("a")], limit: 1)).jobs.isEmpty else {
      throw Broken("a clock without descriptors ended another's lease")
    }
    guard try await first.settle([Settlement(lease, .completed())], claiming: nil).results == [.settled()]
    else {
      throw Broken("a lease was lost")
    }
    await first.close()
    await second.close()
    return "a clock that is made without descriptors ends no lease"
  }
}
