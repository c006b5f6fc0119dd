internal import CSQLite
internal import Logging
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A check of the file system under a path.
///
/// "All processes using a database must be on the same host computer; WAL does not work over a network filesystem":
/// sqlite.org/wal.html. There, SQLite fails late and damages the file, so Qudo refuses such file systems.
enum FileSystem {
  /// The names of those that are shared between computers, by the type that statfs(2) gives on Linux.
  private static let shared: [UInt32: String] = [
    0x6969: "NFS", 0x517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB2", 0x0102_1997: "9p",
    0x5346_414F: "AFS",
    0x6B41_4653: "AFS", 0x00C3_6400: "Ceph", 0x0BD0_0BD0: "Lustre", 0x4750_4653: "GPFS", 0x7461_636F: "OCFS2",
    0x0116_1970: "GFS2", 0x564C: "NCP", 0x7375_7245: "Coda", 0x1983_0326: "BeeGFS", 0x2003_0528: "OrangeFS",
    0xAAD7_AAEA: "PanFS",
    0x0131_11A8: "IBRIX", 0xBEEF_DEAD: "StorNext", 0x786F_4256: "a shared folder of VirtualBox",
    0xBACB_ACBC: "a shared folder of VMware",
    0x7C7C_6673: "a shared folder of Parallels",
  ]

  /// FUSE_SUPER_MAGIC. What is behind it the type does not say: sshfs and gcsfuse, but NTFS and encrypted folders as well; so it is no
  /// reason to refuse.
  private static let userSpace: UInt32 = 0x6573_5546

  /// Returns the warning about a type that may be shared between computers.
  static func caution(type: UInt32) -> Logger.Message? {
    guard type == userSpace else { return nil }
    return """
      the database is on a FUSE file system: if that is shared with another computer or a virtual machine, as sshfs, GlusterFS and \
      virtiofs are, SQLite's WAL mode damages files there: use a local disk
      """
  }

  /// Returns the error for a type that cannot hold the file, or nil. Unknown types count as local.
  static func refusal(type: UInt32) -> QudoError? { shared[type].map(refusal) }

  /// Likewise, by the flags that statfs(2) gives on Darwin.
  static func refusal(flags: UInt32, local: UInt32, name: String) -> QudoError? {
    flags & local == 0 ? refusal(name) : nil
  }

  private static func refusal(_ name: String) -> QudoError {
    QudoError(
      .unsupportedDatabase,
      "it is on a network file system (\(name)), where SQLite's WAL mode damages files: use a local disk, and enqueue from the computer that has it"
    )
  }

  /// - Parameter path: of a file that may be missing; then its folder counts.
  static func check(_ path: String, _ logger: Logger) throws(QudoError) {
    var place = path
    if access(place, F_OK) != 0 { place = folder(of: path) }
    #if canImport(Darwin)
    var found = statfs()
    guard statfs(place, &found) == 0 else { return }
    let name = withUnsafeBytes(of: found.f_fstypename) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    if let error = refusal(flags: found.f_flags, local: UInt32(MNT_LOCAL), name: name) { throw error }
    #elseif os(Linux)
    let type = qudo_file_system(place)
    if let error = refusal(type: type) { throw error }
    if let caution = caution(type: type) { logger.warning(caution, metadata: ["path": "\(path)"]) }
    #endif
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
