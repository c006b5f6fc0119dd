import CSQLite
import Foundation
import Logging
import Qudo
@testable import QudoSQLite
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// Which file a path means, and what is refused before anything is made.
@Suite struct PathTests {
  let file: TemporaryFile
  var folder: String { file.folder.path }

  init() throws { file = try TemporaryFile() }

  private func refusal(_ path: String) -> QudoError? {
    do throws(QudoError) {
      _ = try SQLiteDriver(path: path)
      return nil
    } catch {
      return error
    }
  }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }

  @Test(
    "refuses a path that names a folder, or goes through one that is missing",
    arguments: ["q.db/", "q.db/.", "q.db/..", "none/../q.db", "none/q.db"])
  func folders(name: String) throws {
    #expect(refusal("\(folder)/\(name)")?.code == .cannotOpen)
    #expect(try names == [])
  }

  @Test("goes through folders that exist") func dots() async throws {
    try FileManager.default.createDirectory(atPath: folder + "/sub", withIntermediateDirectories: false)
    let driver = try SQLiteDriver(path: folder + "//sub/.././q.db")
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(1)])
    await driver.close()
    #expect(try names == ["q.db", "sub"])
  }

  @Test("refuses a name or a path that leaves no room for the files beside it, and makes nothing")
  func tooLong() throws {
    let name = refusal(folder + "/" + String(repeating: "n", count: 248))
    #expect(name?.code == .invalidArgument && name?.message.contains("248 bytes") == true)
    #expect(refusal(folder + "/" + String(repeating: "n", count: 256))?.code == .invalidArgument)
    #expect(try names == [])
  }

  @Test("takes the longest name and the longest path") func longest() async throws {
    try await use(folder + "/" + String(repeating: "n", count: 247))
    var deep = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
    while deep.utf8.count < 400 { deep += "/" + String(repeating: "d", count: 90) }
    try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
    let longest = deep + "/" + String(repeating: "q", count: 504 - deep.utf8.count - 1)
    try await use(longest)
    let path = refusal(longest + "q")
    #expect(path?.code == .invalidArgument && path?.message.contains("505 bytes") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: deep).count == 1)
  }

  private func use(_ path: String) async throws {
    let driver = try SQLiteDriver(path: path)
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(1)])
    await driver.close()
  }

  #if os(Linux)
  @Test("refuses /proc/self/fd/N of a deleted file, and follows that of another one") func deletedFile()
    async throws
  {
    let path = folder + "/gone.db"
    let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try await use("/proc/self/fd/\(descriptor)")
    unlink(path)
    #expect(refusal("/proc/self/fd/\(descriptor)")?.code == .cannotOpen)
    #expect(try names == [])
  }

  @Test("finds a file among the mounts, whatever its name has in it") func mountInfo() {
    let mounts = """
      22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
      91 22 254:1 /host/q.db /data/q.db rw,relatime shared:1 - ext4 /dev/vda1 rw
      92 22 254:1 /x /data/a\\040b\\134c.db rw,relatime - ext4 /dev/vda1 rw

      """.utf8
    #expect(MountPoint.isListed("/data/q.db", mounts) && MountPoint.isListed("/data/a b\\c.db", mounts))
    #expect(
      !MountPoint.isListed("/host/q.db", mounts) && !MountPoint.isListed("/data/q", mounts)
        && MountPoint.isListed("/", mounts))
  }
  #endif

  @Test("notices a second name, and another file, that come while the file is opened") func changedMeanwhile()
    throws
  {
    let place = try DatabasePath(file.path)
    #expect(try !place.makeFile())
    let connection = try Connection(path: place.path, create: false)
    try place.check(connection)
    try #require(link(file.path, file.path + "-other") == 0)
    #expect { try place.check(connection) } throws: { ($0 as? QudoError)?.code == .unsupportedDatabase }
    unlink(file.path)
    rename(file.path + "-other", file.path)
    try place.check(connection)
    unlink(file.path)
    try Data().write(to: URL(fileURLWithPath: file.path))
    #expect { try place.check(connection) } throws: { ($0 as? QudoError)?.code == .cannotOpen }
  }

  @Test("looks at a file that was put there between the look and the making", .enabled(if: getuid() == 0))
  func fasterStranger() throws {
    chmod(folder, 0o1777)
    let place = try DatabasePath(file.path)
    try Data().write(to: URL(fileURLWithPath: file.path))
    try #require(chown(file.path, 65534, 65534) == 0)
    #expect { try place.makeFile() } throws: { ($0 as? QudoError)?.code == .unsupportedDatabase }
  }

  @Test("makes a file by a rename where no node can be made, and closes to others what SQLite makes")
  func withoutNodes() throws {
    let place = try DatabasePath(file.path)
    #expect(try place.makeFile(ways: [{ _ in EPERM }, { _ in EPERM }]))
    #expect(try names == [])
    #expect(try !place.makeFile(ways: [{ _ in EPERM }, DatabasePath.makeFileByRename]))
    chmod(file.path, 0o644)
    place.closeToOthers(Logger(label: "qudo"))
    #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)
  }
}
