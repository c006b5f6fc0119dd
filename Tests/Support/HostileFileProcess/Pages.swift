import Foundation
import QudoTesting

/// Damage to the bytes.
extension Corpus {
  private static let page = 2048

  static func pages(_ healthy: Healthy, _ random: inout Seeded) throws -> [Case] {
    let size = try Data(contentsOf: healthy.closed).count
    let count = size / page
    var cases: [Case] = []
    for number in 0..<count {
      for flips in [1, 1, 8, 64] {
        let places = (0..<flips).map { _ in
          (
            number * page + Int.random(in: 0..<page, using: &random),
            UInt8(1) << UInt8.random(in: 0..<8, using: &random)
          )
        }
        cases.append(
          Case("page \(number + 1), \(flips) bits flipped") { path, _ in
            try edit(path) { data in for (place, bit) in places { data[place] ^= bit } }
          })
      }
      // What says how the page is to be read lies at its beginning.
      let head = (0..<12).map { _ in UInt8.random(in: 0...255, using: &random) }
      let first = number * page + (number == 0 ? 100 : 0)
      cases.append(
        Case("page \(number + 1), another head") { path, _ in
          try edit(path) { $0.replaceSubrange(first..<first + head.count, with: head) }
        })
      cases.append(
        Case("page \(number + 1) zeroed") { path, _ in
          try edit(path) { $0.replaceSubrange(number * page..<(number + 1) * page, with: Data(count: page)) }
        })
      let other = Int.random(in: 0..<count, using: &random)
      cases.append(
        Case("pages \(number + 1) and \(other + 1) swapped") { path, _ in
          try edit(path) { data in
            let (a, b) = (number * page..<(number + 1) * page, other * page..<(other + 1) * page)
            let (first, second) = (data.subdata(in: a), data.subdata(in: b))
            data.replaceSubrange(a, with: second)
            data.replaceSubrange(b, with: first)
          }
        })
      cases.append(
        Case("page \(number + 1) is page \(other + 1) again") { path, _ in
          try edit(path) { data in
            let copy = data.subdata(in: other * page..<(other + 1) * page)
            data.replaceSubrange(number * page..<(number + 1) * page, with: copy)
          }
        })
      cases.append(
        Case("cut off after \(number) pages") { path, _ in try edit(path) { $0 = $0.prefix(number * page) } })
      let odd = number * page + Int.random(in: 1..<page, using: &random)
      cases.append(Case("cut off after \(odd) bytes") { path, _ in try edit(path) { $0 = $0.prefix(odd) } })
    }
    return cases
  }

  /// Each byte of the first hundred, of which the format gives most a meaning.
  static func header(_ random: inout Seeded) -> [Case] {
    (0..<100).map { place in
      let byte = [UInt8(0), 0xFF, .random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
      return Case("byte \(place) of the header is \(byte)") { path, _ in try edit(path) { $0[place] = byte } }
    }
  }

  /// Damage to the WAL and to its index.
  static func wals(_ healthy: Healthy, _ random: inout Seeded) throws -> [Case] {
    let size = try Data(contentsOf: URL(fileURLWithPath: healthy.live.path + "-wal")).count
    let live = { (name: String, change: @escaping (String) throws -> Void) in
      Case(name, copies: false) { path, healthy in
        try healthy.copy(healthy.live, to: URL(fileURLWithPath: path))
        try change(path)
      }
    }
    var cases: [Case] = []
    for _ in 0..<40 {
      let place = Int.random(in: 0..<size, using: &random)
      cases.append(
        live("WAL, byte \(place) changed") { path in try edit(path + "-wal") { $0[place] ^= 0x55 } })
    }
    for place in 0..<32 {
      cases.append(
        live("WAL, byte \(place) of its head changed") { path in try edit(path + "-wal") { $0[place] ^= 0xFF }
        })
    }
    for part in 0..<20 {
      let cut = size * part / 20 + Int.random(in: 0..<24, using: &random)
      cases.append(
        live("WAL cut off after \(cut) bytes") { path in try edit(path + "-wal") { $0 = $0.prefix(cut) } })
    }
    for length in [0, 1, 31, 32, 56, 136, 32768, 32769] {
      let garbage = Data((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
      cases.append(
        live("-shm of \(length) bytes of garbage") { path in try edit(path + "-shm") { $0 = garbage } })
      cases.append(
        live("WAL of \(length) bytes of garbage") { path in try edit(path + "-wal") { $0 = garbage } })
    }
    cases.append(live("no -shm") { try FileManager.default.removeItem(atPath: $0 + "-shm") })
    cases.append(live("no WAL") { try FileManager.default.removeItem(atPath: $0 + "-wal") })
    cases.append(live("the database is gone, its WAL is there") { try edit($0) { $0 = Data() } })
    return cases
  }

  /// Files next to the database that belong to another one, or are not files.
  static func neighbours() -> [Case] {
    func other(_ ending: String) -> (String, Healthy) throws -> Void {
      { path, healthy in
        try FileManager.default.copyItem(atPath: healthy.other.path + ending, toPath: path + ending)
      }
    }
    var cases = [
      Case("the WAL of another database", other("-wal")), Case("the -shm of another database", other("-shm")),
      Case("the WAL and the -shm of another database") { path, healthy in
        try other("-wal")(path, healthy)
        try other("-shm")(path, healthy)
      },
      Case("a hot journal of another database") { path, healthy in
        try journal(of: healthy.other, at: path + "-other", for: path, healthy)
      },
      Case("a hot journal of its own, in another journal mode") { path, healthy in
        try journal(of: healthy.closed, at: path + "-own", for: path, healthy)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + "-own", toPath: path)
      },
      Case("a journal of garbage") { path, _ in
        try Data(repeating: 0x41, count: 5000).write(to: URL(fileURLWithPath: path + "-journal"))
      },
    ]
    for ending in ["-wal", "-shm", "-journal"] {
      cases.append(
        Case("\(ending) is a folder") { path, _ in
          try FileManager.default.createDirectory(atPath: path + ending, withIntermediateDirectories: false)
        })
      cases.append(Case("\(ending) is a pipe") { path, _ in mkfifo(path + ending, 0o600) })
      cases.append(
        Case("\(ending) is a link to a file") { path, _ in
          try Data("precious".utf8).write(to: URL(fileURLWithPath: path + ".precious"))
          try FileManager.default.createSymbolicLink(
            atPath: path + ending, withDestinationPath: path + ".precious")
        })
      cases.append(
        Case("\(ending) is a link to nothing") { path, _ in
          try FileManager.default.createSymbolicLink(
            atPath: path + ending, withDestinationPath: path + ".nothing")
        })
      cases.append(
        Case("\(ending) is a device") { path, _ in
          try FileManager.default.createSymbolicLink(atPath: path + ending, withDestinationPath: "/dev/zero")
        })
    }
    return cases
  }

  /// A transaction of another journal mode that was not finished: the journal is copied while it is there.
  private static func journal(of source: URL, at copy: String, for path: String, _ healthy: Healthy) throws {
    let place = URL(fileURLWithPath: copy)
    try healthy.copy(source, to: place)
    let raw = try Raw(copy)
    try raw.run("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; PRAGMA synchronous = FULL; BEGIN")
    for _ in 0..<3 {
      try raw.run("UPDATE qudo_job SET payload = CAST('overwritten' || hex(randomblob(4000)) AS BLOB)")
    }
    try healthy.copy(place, to: URL(fileURLWithPath: copy + "-kept"))
    try raw.run("ROLLBACK")
    try? FileManager.default.removeItem(atPath: path + "-journal")
    try FileManager.default.moveItem(atPath: copy + "-kept-journal", toPath: path + "-journal")
    try FileManager.default.removeItem(atPath: copy)
    try FileManager.default.moveItem(atPath: copy + "-kept", toPath: copy)
  }

  /// What is no file.
  static func places() -> [Case] {
    let none = { (name: String, make: @escaping (String) throws -> Void) in
      Case(name, copies: false) { path, _ in try make(path) }
    }
    func link(_ target: String) -> (String) throws -> Void {
      { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: target) }
    }
    return [
      none("a folder") {
        try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: false)
      },
      none("a pipe") { mkfifo($0, 0o600) }, none("a link to /dev/zero", link("/dev/zero")),
      none("a link to /dev/null", link("/dev/null")),
      none("a link to /dev/full", link("/dev/full")), none("a link to /dev/random", link("/dev/random")),
      none("a link to a folder", link("/tmp")), none("a link to itself") { try link($0)($0) },
      none("a link into a folder that is not there", link("nowhere/at/all.db")),
      none("a link to nothing", link("made.db")),
      none("a link to a text in /proc", link("/proc/self/status")),
      none("a link to memory", link("/proc/self/mem")),
      none("an empty file") { try Data().write(to: URL(fileURLWithPath: $0)) },
      none("a byte") { try Data([0]).write(to: URL(fileURLWithPath: $0)) },
      none("a text") { try Data("Dear database, ...".utf8).write(to: URL(fileURLWithPath: $0)) },
      none("a hundred zeros") { try Data(count: 100).write(to: URL(fileURLWithPath: $0)) },
      none("a megabyte of zeros") { try Data(count: 1 << 20).write(to: URL(fileURLWithPath: $0)) },
      none("a file that claims a terabyte") { path in
        try Data("SQLite format 3\0".utf8).write(to: URL(fileURLWithPath: path))
        truncate(path, 1 << 40)
      },
    ]
  }
}
