import CScarcity
import CSQLite
import Foundation
import Qudo
import QudoSQLite

/// Memory is scarce while a file is opened, or closed.
struct MemoryOpenings {
  enum File: String, CaseIterable {
    case new, existing
  }

  let file: RawFile
  private(set) var figures = Rounds.Figures()

  init(in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    file = RawFile(path: folder + "/jobs.db")
  }

  /// All requests, one after the other.
  mutating func run() async throws {
    for kind in File.allCases {
      try await MemoryRole.each(about: kind == .new ? 3000 : 1500) { try await open(kind, $0) }
    }
    try await MemoryRole.each([1, .max], about: 1) { try await close($0) }
  }

  private func prepare(_ kind: File) async throws {
    file.remove()
    guard kind == .existing else { return }
    let driver = try Rounds.open(file)
    _ = try await driver.insert([NewJob("a", payload: Payload("was there"))])
    await driver.close()
  }

  private mutating func open(_ kind: File, _ scarcity: Scarcity) async throws -> Int {
    try await prepare(kind)
    let (live, used) = (scarcity_live(), sqlite3_memory_used())
    scarcity.begin(file)
    var result = Result { try Rounds.open(file) }
    let refused = scarcity.end()
    figures.rounds += 1
    figures.refused += refused
    if case .failure(let error) = result {
      figures.threw += 1
      guard (error as? QudoError)?.code == .outOfMemory else {
        throw Broken("opening \(kind), \(scarcity): \((error as? QudoError)?.code as Any): \(error)")
      }
      guard scarcity_live() == live, sqlite3_memory_used() == used else {
        throw Broken("opening \(kind), \(scarcity): memory was not given back")
      }
      result = Result { try Rounds.open(file) }
    }
    do {
      let driver = try result.get()
      let expected: Int64 = kind == .new ? 1 : 2
      guard try await driver.insert([NewJob("a")]) == [.inserted(expected)],
        try await driver.count(nil) == [JobCount("a", ready: Int(expected))]
      else {
        throw Broken("opening \(kind), \(scarcity): the file has not what it had")
      }
      await driver.close()
    } catch let error as QudoError {
      throw Broken("opening \(kind), \(scarcity): with memory again: \(error)")
    }
    try check("opening \(kind), \(scarcity)", live)
    return refused
  }

  /// With a reader and statements that are to be given back.
  private mutating func close(_ scarcity: Scarcity) async throws -> Int {
    file.remove()
    let live = scarcity_live()
    let driver = try Rounds.open(file)
    _ = try await driver.insert([NewJob("a", payload: Payload("was there"))])
    _ = try await driver.count(nil)
    let before = try file.contents()
    scarcity.begin(file)
    await driver.close()
    let refused = scarcity.end()
    figures.rounds += 1
    figures.refused += refused
    guard try file.contents() == before else { throw Broken("closing, \(scarcity): something is lost") }
    try check("closing, \(scarcity)", live)
    return refused
  }

  private func check(_ what: String, _ live: Int) throws {
    guard scarcity_live() == live else {
      throw Broken("\(what): \(scarcity_live() - live) blocks of memory were not given back")
    }
    let found = try file.check()
    guard found == "ok" else { throw Broken("\(what): the file is damaged: \(found)") }
  }
}
