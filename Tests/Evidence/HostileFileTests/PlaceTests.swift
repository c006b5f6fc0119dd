import Foundation
import InMemoryLogging
import Logging
import Qudo
import QudoSQLite
import Testing

/// Who may read what Qudo makes, and where it does not write.
///
/// The umask and the user belong to a process: each opening is one of its own.
@Suite struct PlaceTests {
  private let folder: HostileFolder
  /// `nobody`, as good as any other.
  private static let stranger: UInt32 = 65534
  private static let isRoot = getuid() == 0

  init() throws { folder = try HostileFolder() }

  private func open(
    _ path: String, umask: String = "022", user: UInt32 = getuid(), group: UInt32? = nil,
    verb: String = "open"
  ) throws -> String {
    let group = group.map { ["\($0)"] } ?? []
    return try folder.run("HostileFileProcess", [verb, path, umask, "\(user)"] + group).lines.first
      ?? "nothing"
  }

  private func mode(_ path: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
  }

  private func makeFolder(_ name: String, mode: mode_t, owner: UInt32 = getuid()) throws -> String {
    let path = folder.file(name)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    chmod(path, mode)
    if owner != getuid() { try #require(chown(path, owner, owner) == 0) }
    return path
  }

  @Test(arguments: ["000", "022", "077"]) func aNewFileAndThoseBesideItAreItsOwnersAlone(umask: String) throws
  {
    #expect(try open(folder.file("new.db"), umask: umask) == "open 600 600 600")
  }

  @Test("An existing file keeps its mode, and so do the files next to it")
  func existingFileKeepsItsMode() throws {
    let path = folder.file("shared.db")
    #expect(try open(path) == "open 600 600 600")
    chmod(path, 0o660)
    #expect(try open(path) == "open 660 660 660")
  }

  @Test func whatTheCommandMakesIsItsOwnersAlone() throws {
    let path = folder.file("command.db")
    #expect(try folder.run("qudo", ["enqueue", "a", "x", "--database", path]).status == 0)
    #expect(try mode(path) == 0o600)
    #expect(try folder.run("qudo", ["compact", "--database", path]).status == 0)
    #expect(try mode(path) == 0o600)
    let old = folder.file("old.db")
    try execute(
      """
      CREATE TABLE func(id INTEGER PRIMARY KEY, name);
      CREATE TABLE job(id INTEGER PRIMARY KEY, func_id, arg, uniqkey, enqueue_time, grabbed_until, run_after, retry_cnt, priority);
      CREATE TABLE exception_log(id INTEGER PRIMARY KEY, func_id, exception_time, message, uniqkey, arg, retried);
      CREATE TABLE job_status(id INTEGER PRIMARY KEY, func_id, arg, uniqkey, status, job_start_time, job_end_time);
      """, in: old)
    let imported = folder.file("imported.db")
    #expect(try folder.run("qudo", ["import", old, "--database", imported]).status == 0)
    #expect(try mode(imported) == 0o600)
  }

  @Test("A link in the user's own folder is followed, and its target is created")
  func linkInAnOwnFolderIsFollowed() throws {
    let link = folder.file("link.db")
    let target = try makeFolder("elsewhere", mode: 0o755) + "/real.db"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "elsewhere/real.db")
    #expect(try open(link, umask: "000").hasPrefix("open 600"))
    #expect(try mode(target) == 0o600)
    #expect(try open(link).hasPrefix("open"))
    // What lies next to it lies next to the file.
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("link.db") } == [
        "link.db"
      ])
  }

  @Test("A link in a folder that everybody may write to is refused", arguments: [0o777, 0o1777])
  func linkInAWorldWritableFolderIsRefused(mode: mode_t) throws {
    let place = try makeFolder("open", mode: mode)
    let target = folder.file("target.db")
    try FileManager.default.createSymbolicLink(atPath: place + "/jobs.db", withDestinationPath: target)
    #expect(try open(place + "/jobs.db").hasPrefix("unsupportedDatabase"))
    #expect(!FileManager.default.fileExists(atPath: target))
  }

  @Test(.enabled(if: isRoot)) func aLinkOfAnotherUserIsRefused() throws {
    let place = try makeFolder("theirs", mode: 0o755, owner: Self.stranger)
    try FileManager.default.createSymbolicLink(
      atPath: place + "/jobs.db", withDestinationPath: folder.file("target.db"))
    try #require(lchown(place + "/jobs.db", Self.stranger, Self.stranger) == 0)
    #expect(try open(place + "/jobs.db").hasPrefix("unsupportedDatabase"))
    #expect(try open(place + "/jobs.db", user: Self.stranger).hasPrefix("cannotOpen"))
    #expect(!FileManager.default.fileExists(atPath: folder.file("target.db")))
  }

  @Test(.enabled(if: isRoot)) func aFileOfAnotherUserInAFolderLikeTmpIsRefused() throws {
    let place = try makeFolder("tmp", mode: 0o1777)
    let path = place + "/jobs.db"
    #expect(try open(path, user: Self.stranger).hasPrefix("open"))
    #expect(try open(path).hasPrefix("unsupportedDatabase"))
  }

  @Test(.enabled(if: isRoot)) func whatMayNotBeWrittenToIsSaidToBeSo() throws {
    let place = try makeFolder("theirs", mode: 0o700, owner: Self.stranger)
    let path = place + "/jobs.db"
    #expect(try open(path, user: Self.stranger) == "open 600 600 600")
    chmod(path, 0o400)
    #expect(try open(path, user: Self.stranger).hasPrefix("readOnly"))
    chmod(path, 0o600)
    chmod(place, 0o500)
    #expect(try open(place + "/new.db", user: Self.stranger).hasPrefix("cannotOpen"))
    let there = try open(path, user: Self.stranger)
    #expect(there.hasPrefix("cannotOpen") || there.hasPrefix("readOnly"), "\(there)")
    chmod(place, 0o000)
    #expect(try open(path, user: Self.stranger).hasPrefix("cannotOpen"))
  }

  @Test("Qudo warns of a folder or a file that everybody may write to")
  func worldWritablePlaceIsWarnedOf() async throws {
    let place = try makeFolder("open", mode: 0o777)
    let log = InMemoryLogHandler()
    let logger = Logger(label: "qudo") { _ in log }
    await (try SQLiteDriver(path: place + "/jobs.db", logger: logger)).close()
    #expect(log.entries.map(\.level) == [.warning])
    chmod(place + "/jobs.db", 0o666)
    await (try SQLiteDriver(path: place + "/jobs.db", logger: logger)).close()
    #expect(log.entries.count == 3)
    // What is right is not talked about.
    await (try SQLiteDriver(path: folder.file("quiet.db"), logger: logger)).close()
    #expect(log.entries.count == 3)
  }

  @Test func triggersAndViewsAreWarnedOf() async throws {
    let path = folder.file("planted.db")
    let log = InMemoryLogHandler()
    let logger = Logger(label: "qudo") { _ in log }
    await (try SQLiteDriver(path: path, logger: logger)).close()
    try execute(
      "CREATE TRIGGER spy AFTER INSERT ON qudo_job BEGIN SELECT 1; END; CREATE VIEW qudo_all AS SELECT 1",
      in: path)
    await (try SQLiteDriver(path: path, logger: logger)).close()
    let entry = try #require(log.entries.first)
    #expect(entry.level == .warning && entry.metadata["names"] == "spy, qudo_all")
  }
}
