import CSQLite
import Foundation
import Qudo
import QudoSQLite

/// A process that may crash or hang, and whose last words then name the file that made it.
///
/// - `HostileFileProcess corpus FOLDER SEED FIRST`: works the damaged files of a seed, from the case with the number FIRST on.
///   It says `case NUMBER NAME` before each, `bad NUMBER WHY` of each that is not as it should be, and `done NUMBER ANSWER` after.
/// - `HostileFileProcess make FOLDER SEED NUMBER PATH`: makes one of them and leaves it.
/// - `HostileFileProcess open PATH UMASK USER [GROUP]`: opens a file with that umask as that user, who is in that group as well, puts a
///   job into it, and says `open`, or the code of the error and its message.
/// - `HostileFileProcess leave PATH UMASK USER [GROUP]`: likewise, and ends as if killed: what lies next to the file
///   stays.
/// - `HostileFileProcess list PATH UMASK USER [GROUP]`: counts what is in a file, and says `list` and how many are ready.
/// - `HostileFileProcess shared PATH`: opens a file in a process whose connections share a cache, and says `open` if a reader of the
///   application's does not stop it from writing.
@main
struct HostileFileProcess {
  static func main() async throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    switch (arguments.first, arguments.count) {
    case ("corpus", 4):
      try await corpus(
        URL(fileURLWithPath: arguments[1]), UInt64(arguments[2]) ?? 1, first: Int(arguments[3]) ?? 0)
    case ("make", 5):
      let healthy = Healthy(folder: URL(fileURLWithPath: arguments[1]))
      if !FileManager.default.fileExists(atPath: healthy.other.path) { try await healthy.make() }
      let cases = try Corpus.cases(healthy, seed: UInt64(arguments[2]) ?? 1)
      try make(cases[Int(arguments[3]) ?? 0], arguments[4], healthy)
    case ("open", 4...5):
      become(arguments)
      await open(arguments[1], closes: true)
    case ("leave", 4...5):
      become(arguments)
      await open(arguments[1], closes: false)
    case ("list", 4...5):
      become(arguments)
      await list(arguments[1])
    case ("shared", 2): await share(arguments[1])
    default: exit(64)
    }
  }

  /// Nothing is to be lost when the process ends here.
  private static func say(_ line: String) {
    var line = line.replacingOccurrences(of: "\n", with: " ") + "\n"
    line.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
  }

  private static func make(_ one: Case, _ path: String, _ healthy: Healthy) throws {
    if one.copies { try FileManager.default.copyItem(atPath: healthy.closed.path, toPath: path) }
    try one.make(path, healthy)
  }

  private static func corpus(_ folder: URL, _ seed: UInt64, first: Int) async throws {
    let healthy = Healthy(folder: folder)
    if first == 0 { try await healthy.make() }
    let cases = try Corpus.cases(healthy, seed: seed)
    for (number, one) in cases.enumerated().dropFirst(first) {
      say("case \(number) \(one.name)")
      let place = folder.appendingPathComponent("case")
      try? FileManager.default.removeItem(at: place)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
      let path = place.appendingPathComponent("jobs.db").path
      do {
        try make(one, path, healthy)
      } catch {
        say("skipped \(number) \(error)")
        continue
      }
      // A process that runs forever is ended by it: a bound, and nothing that is waited for.
      alarm(60)
      var work = Work(path)
      let refusal = one.isPerl ? await work.runImport() : await work.run()
      alarm(0)
      for bad in Set(work.bad).sorted().prefix(5) { say("bad \(number) \(bad)") }
      if isMarked(path) { say("bad \(number) what was planted has run") }
      if let precious = try? Data(contentsOf: URL(fileURLWithPath: path + ".precious")),
        precious != Data("precious".utf8)
      {
        say("bad \(number) another file was written to")
      }
      let answer = one.isPerl ? "imported" : "worked \(work.codes.keys.sorted().joined(separator: ","))"
      say("done \(number) \(refusal.map { "\(one.isPerl ? "import " : "")refused \($0)" } ?? answer)")
    }
    say("end \(cases.count)")
  }

  private static func become(_ arguments: [String]) {
    if let mask = UInt32(arguments[2], radix: 8) { umask(mode_t(mask)) }
    guard let user = UInt32(arguments[3]), user != getuid() else { return }
    let groups = arguments.dropFirst(4).compactMap { gid_t($0) }
    if setgroups(groups.count, groups) != 0 || setgid(user) != 0 || setuid(user) != 0 { exit(77) }
  }

  private static func list(_ path: String) async {
    do throws(QudoError) {
      say("list \(try await SQLiteListings(path: path).count().reduce(0) { $0 + $1.ready })")
    } catch {
      say("\(error.code) \(error.message)")
    }
  }

  private static func share(_ path: String) async {
    sqlite3_enable_shared_cache(1)
    do {
      let driver = try SQLiteDriver(path: path, durability: .off, busyTimeout: .milliseconds(200))
      _ = try await driver.insert([NewJob("a")])
      // In a cache that is shared a connection that reads a table keeps the others from writing to it.
      var (handle, statement): (OpaquePointer?, OpaquePointer?)
      guard sqlite3_open(path, &handle) == SQLITE_OK,
        sqlite3_prepare_v2(handle, "SELECT id FROM qudo_job", -1, &statement, nil) == SQLITE_OK,
        sqlite3_step(statement) == SQLITE_ROW
      else { return say("not read") }
      _ = try await driver.insert([NewJob("a")])
      sqlite3_finalize(statement)
      sqlite3_close(handle)
      say("open")
      await driver.close()
    } catch {
      say("\(error)")
    }
  }

  private static func open(_ path: String, closes: Bool) async {
    do throws(QudoError) {
      let driver = try SQLiteDriver(path: path, durability: .off)
      _ = try await driver.insert([NewJob("a")])
      let modes = ["", "-wal", "-shm"].map { ending -> String in
        var info = stat()
        return stat(path + ending, &info) == 0 ? String(info.st_mode & 0o7777, radix: 8) : "none"
      }
      say("open \(modes.joined(separator: " "))")
      if !closes { _exit(0) }
      await driver.close()
    } catch {
      say("\(error.code) \(error.message)")
    }
  }
}
