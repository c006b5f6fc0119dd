import Foundation
import ProcessSupport
import Testing

/// One file by two paths, and the rights of users who share it.
@Suite struct NameTests {
  private let folder: HostileFolder
  private static let stranger: UInt32 = 65534
  private static let isRoot = getuid() == 0

  init() throws { folder = try HostileFolder() }

  private func run(_ verb: String, _ path: String, user: UInt32 = getuid(), group: UInt32? = nil) throws
    -> String
  {
    let group = group.map { ["\($0)"] } ?? []
    return try folder.run("HostileFileProcess", [verb, path, "022", "\(user)"] + group).lines.first
      ?? "nothing"
  }

  private func makeFolder(_ name: String, mode: mode_t, owner: UInt32 = getuid(), group: UInt32 = getgid())
    throws -> String
  {
    let path = folder.file(name)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    if owner != getuid() || group != getgid() { try #require(chown(path, owner, group) == 0) }
    chmod(path, mode)
    return path
  }

  private func makeFile(_ path: String, owner: UInt32, mode: mode_t) throws {
    try Data().write(to: URL(fileURLWithPath: path))
    chmod(path, mode)
    try #require(chown(path, owner, owner) == 0)
  }

  // MARK: Two paths

  @Test("refuses a file that has a second hard link, by either name") func hardLink() throws {
    let (path, other) = (folder.file("a.db"), folder.file("b.db"))
    #expect(try run("open", path) == "open 600 600 600")
    try #require(link(path, other) == 0)
    for path in [path, other] {
      let answer = try run("open", path)
      #expect(
        answer.hasPrefix("unsupportedDatabase") && answer.contains("mount the folder, not the file"),
        "\(answer)")
      #expect(try run("list", path).hasPrefix("unsupportedDatabase"))
    }
    #expect(try !FileManager.default.contentsOfDirectory(atPath: folder.path).contains("b.db-wal"))
    try FileManager.default.removeItem(atPath: other)
    #expect(try run("open", path).hasPrefix("open"))
  }

  @Test("refuses a -wal that is another name of some file") func hardLinkOfWAL() throws {
    let precious = folder.file("precious")
    try Data("precious".utf8).write(to: URL(fileURLWithPath: precious))
    try #require(link(precious, folder.file("a.db-wal")) == 0)
    #expect(try run("open", folder.file("a.db")).hasPrefix("unsupportedDatabase"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: precious)) == Data("precious".utf8))
  }

  #if os(Linux)
  /// Runs a script of shell in a mount namespace of its own; `$1` is the folder and `$2` the program.
  private static func unshare(_ folder: HostileFolder, _ script: String) throws -> HostileFolder.Answer {
    try folder.run(
      path: "/usr/bin/env",
      ["unshare", "-m", "sh", "-ec", script, "sh", folder.path, try built("HostileFileProcess").path])
  }

  private static let mayMount: Bool = {
    guard isRoot, let folder = try? HostileFolder() else { return false }
    return (try? unshare(folder, "touch $1/a $1/b; mount --bind $1/a $1/b").status) == 0
  }()

  @Test(
    "refuses a file that is a mount point, and takes one in a mounted folder",
    .enabled(if: mayMount, "this process may not mount"))
  func bindMount() throws {
    let answer = try Self.unshare(
      folder,
      """
      mkdir $1/host $1/data $1/app
      $2 open $1/host/q.db 022 0
      touch $1/data/q.db
      mount --bind $1/host/q.db $1/data/q.db
      $2 open $1/data/q.db 022 0
      mount --bind $1/host $1/app
      $2 open $1/app/q.db 022 0
      """)
    let lines = answer.lines
    try #require(lines.count == 3, "\(answer)")
    #expect(lines[0].hasPrefix("open") && lines[2].hasPrefix("open"), "\(lines)")
    #expect(
      lines[1].hasPrefix("unsupportedDatabase") && lines[1].contains("mount the folder, not the file"),
      "\(lines[1])")
  }
  #endif

  // MARK: Files and links of others

  @Test(
    "refuses a -wal, -shm or -journal that a stranger put into a folder like /tmp", .enabled(if: isRoot),
    arguments: ["-wal", "-shm", "-journal"])
  func strangersWAL(ending: String) throws {
    let place = try makeFolder("tmp", mode: 0o1777)
    try makeFile(place + "/jobs.db" + ending, owner: Self.stranger, mode: 0o666)
    let answer = try run("open", place + "/jobs.db")
    #expect(
      answer.hasPrefix("unsupportedDatabase") && answer.contains("belongs to another user"), "\(answer)")
    #expect(try FileManager.default.attributesOfItem(atPath: place + "/jobs.db" + ending)[.size] as? Int == 0)
  }

  @Test(
    "refuses a stranger's link in the middle of the path, in a folder that everybody may write to",
    .enabled(if: isRoot))
  func strangersLinkInPath() throws {
    let target = try makeFolder("target", mode: 0o755)
    let place = try makeFolder("tmp", mode: 0o1777)
    for (name, owner) in [("evil", Self.stranger), ("mine", getuid())] {
      try FileManager.default.createSymbolicLink(atPath: "\(place)/\(name)", withDestinationPath: target)
      try #require(lchown("\(place)/\(name)", owner, owner) == 0)
    }
    #expect(try run("open", place + "/evil/q.db").hasPrefix("unsupportedDatabase"))
    #expect(!FileManager.default.fileExists(atPath: target + "/q.db"))
    #expect(try run("open", place + "/mine/q.db").hasPrefix("open"))
    // In a folder that is not open to all its owner may put links: it is he who decides about all in it.
    let theirs = try makeFolder("theirs", mode: 0o755, owner: Self.stranger)
    try FileManager.default.createSymbolicLink(atPath: theirs + "/current", withDestinationPath: target)
    try #require(lchown(theirs + "/current", Self.stranger, Self.stranger) == 0)
    #expect(try run("open", theirs + "/current/q.db").hasPrefix("open"))
  }

  @Test(
    "lets users of a group share a file in a folder with the setgid bit, and only there",
    .enabled(if: isRoot), arguments: [true, false])
  func sharedByGroup(hasBit: Bool) throws {
    let (ada, bob, jobs): (UInt32, UInt32, UInt32) = (64_001, 64_002, 64_003)
    chmod(folder.path, 0o755)
    let place = try makeFolder("shared", mode: hasBit ? 0o2770 : 0o770, group: jobs)
    let path = place + "/q.db"
    #expect(try run("open", path, user: ada, group: jobs) == "open 600 600 600")
    try #require(chown(path, ada, jobs) == 0)
    chmod(path, 0o660)
    // What Ada's process leaves next to the file is hers.
    #expect(try run("leave", path, user: ada, group: jobs) == "open 660 660 660")
    let answer = try run("open", path, user: bob, group: jobs)
    #expect(answer.hasPrefix("open") == hasBit, "\(answer)")
  }

  // MARK: Listings

  @Test("lists for a user who may only read, and makes nothing", .enabled(if: isRoot))
  func listsWithReadRights() throws {
    chmod(folder.path, 0o755)
    let place = try makeFolder("readable", mode: 0o755)
    let path = place + "/q.db"
    #expect(try run("open", path) == "open 600 600 600")
    #expect(try run("list", path, user: Self.stranger).hasPrefix("cannotOpen"))
    chmod(path, 0o644)
    #expect(try run("list", path, user: Self.stranger) == "list 1")
    // Nor where he might.
    chmod(place, 0o777)
    #expect(try run("list", path, user: Self.stranger) == "list 1")
    chmod(place, 0o755)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place) == ["q.db"])
    // What a process has left in the WAL counts.
    #expect(try run("leave", path) == "open 644 644 644")
    #expect(try run("list", path, user: Self.stranger) == "list 2")
    chmod(path + "-shm", 0o600)
    #expect(try run("list", path, user: Self.stranger).hasPrefix("cannotOpen"))
  }

  @Test("is not kept from writing by the application's reader where connections share a cache")
  func sharedCache() throws {
    #expect(try folder.run("HostileFileProcess", ["shared", folder.file("q.db")]).lines == ["open"])
  }
}
