internal import CSQLite
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// What sort of file system a path is on.
///
/// "All processes using a database must be on the same host computer; WAL does not work over a network filesystem":
/// sqlite.org/wal.html. There it fails late, by damage to the file; so it is refused before.
enum FileSystem {
  /// The names of those that are shared between computers, by the type that statfs(2) gives on Linux.
  private static let shared: [UInt32: String] = [
    0x6969: "NFS", 0x517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB2", 0x0102_1997: "9p", 0x5346_414F: "AFS",
    0x6B41_4653: "AFS", 0x00C3_6400: "Ceph", 0x0BD0_0BD0: "Lustre", 0x4750_4653: "GPFS", 0x7461_636F: "OCFS2",
    0x0116_1970: "GFS2", 0x564C: "NCP", 0x7375_7245: "Coda",
  ]

  /// Why a file cannot be there, or nil if it can. A type that is not known is taken for local.
  static func refusal(type: UInt32) -> QudoError? { shared[type].map(refusal) }

  /// Likewise, by the flags that statfs(2) gives on Darwin.
  static func refusal(flags: UInt32, local: UInt32, name: String) -> QudoError? { flags & local == 0 ? refusal(name) : nil }

  private static func refusal(_ name: String) -> QudoError {
    QudoError(
      .unsuitableFile,
      "it is on a network file system (\(name)), where SQLite's WAL mode damages files: use a local disk, and enqueue from the computer that has it")
  }

  /// - Parameter path: of a file that may be missing; then its folder counts.
  static func check(_ path: String) throws(QudoError) {
    var place = path
    if access(place, F_OK) != 0 { place = folder(of: path) }
    #if canImport(Darwin)
    var found = statfs()
    guard statfs(place, &found) == 0 else { return }
    let name = withUnsafeBytes(of: found.f_fstypename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if let error = refusal(flags: found.f_flags, local: UInt32(MNT_LOCAL), name: name) { throw error }
    #elseif os(Linux)
    if let error = refusal(type: qudo_file_system(place)) { throw error }
    #endif
  }

  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
