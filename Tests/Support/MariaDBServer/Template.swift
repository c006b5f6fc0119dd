import Foundation

/// A data folder that is made once in each test process, with `mariadb-install-db`; each server gets a copy.
struct Template: Sendable {
  static let user = "qudo"
  /// Characters that must be percent-encoded in a URL, so that every test sees to it that they are.
  static let password = "s3cret/@:%"

  private static let one = Result { try Template() }

  private let folder: URL

  private init() throws {
    folder = try temporaryFolder()
    // Without anonymous users: they would come before those of the same name that may connect from anywhere.
    let statements = """
      DELETE FROM mysql.global_priv WHERE User = '';
      FLUSH PRIVILEGES;
      CREATE USER '\(Self.user)'@'%' IDENTIFIED BY '\(Self.password)';
      GRANT ALL ON *.* TO '\(Self.user)'@'%' WITH GRANT OPTION;
      """
    let file = folder.appendingPathComponent("users.sql")
    try Data(statements.utf8).write(to: file)
    _ = try Programs.run(
      "mariadb-install-db",
      [
        "--no-defaults", "--datadir=\(folder.path)/data", "--auth-root-authentication-method=normal",
        "--skip-test-db", "--skip-name-resolve",
        "--extra-file=\(file.path)", "--innodb-log-file-size=8M",
      ] + Programs.asRoot)
  }

  /// - Parameter place: a folder that is not there yet.
  static func copy(to place: URL) throws {
    try FileManager.default.copyItem(at: one.get().folder.appendingPathComponent("data"), to: place)
  }
}

/// A new folder, which goes when this process does. Its path is short: that of a socket has at most 104 bytes.
///
/// - Parameter place: The folder that it is made in; that of temporary files by default.
func temporaryFolder(in place: URL = FileManager.default.temporaryDirectory) throws -> URL {
  let name = "qudo-db-" + String(UInt64.random(in: 0...(.max)), radix: 36)
  let folder = place.appendingPathComponent(name)
  try Watcher.one.get().add(folder)
  try FileManager.default.createDirectory(
    at: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
  return folder
}

/// As ``temporaryFolder(in:)``, in memory. Nil if the system has no such place, or little room there.
func memoryFolder() throws -> URL? {
  let place = URL(fileURLWithPath: "/dev/shm")
  guard FileManager.default.isWritableFile(atPath: place.path),
    let room = try? FileManager.default.attributesOfFileSystem(forPath: place.path)[.systemFreeSize] as? Int,
    room >= 32 << 20
  else { return nil }
  return try temporaryFolder(in: place)
}
