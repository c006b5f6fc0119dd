internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The free space of the file system that a database is on.
struct DiskSpace {
  /// The bytes that this user may still write.
  let free: Int64
  /// The number of files that this user may still create; nil if the file system has no such limit.
  let freeFiles: Int64?

  /// Returns nil if it is unknown.
  static func of(_ place: String) -> DiskSpace? {
    var info = statvfs()
    guard statvfs(FileSystem.folder(of: place), &info) == 0, info.f_blocks > 0 else { return nil }
    return DiskSpace(
      free: Int64(clamping: UInt64(info.f_bavail)).clampedTimes(Int64(clamping: UInt64(info.f_frsize))),
      freeFiles: info.f_files > 0 ? Int64(clamping: UInt64(info.f_favail)) : nil)
  }

  /// The maximum WAL size of a driver, if it has the default.
  private static let maxWALSize: Int64 = 1 << 30
  /// The free space below which a file of any size is in danger.
  private static let least: Int64 = 64 << 20
  /// The number of files below which the `-wal` and the `-shm` may find no room.
  private static let fewestFiles: Int64 = 16

  /// - Parameters:
  ///   - file: The size of the database file, in bytes.
  ///   - wal: The size of its `-wal`.
  func findings(file: Int64, wal: Int64) -> [Finding] {
    if let freeFiles, freeFiles < Self.fewestFiles {
      return [
        Finding(
          "disk-space", .warning,
          "the file system has room for only \(freeFiles) more files: the WAL of the database may not be created",
          advice: "delete files that are not needed, or move the database to another file system",
          figures: ["files": freeFiles])
      ]
    }
    let used = file.clampedPlus(wal)
    let size = SnapshotDiagnosis.size
    let figures = ["bytes": free, "fileBytes": file, "walBytes": wal]
    // A tenth of the file, but of a large file no more than its WAL can need.
    guard free >= min(max(Self.least, used / 10), Self.maxWALSize) else {
      return [
        Finding(
          "disk-space", .warning,
          "only \(size(free)) are free on the file system of the database, which has \(size(used)) with its WAL: on a full disk, enqueues fail",
          advice:
            "free some space, or move the database to a larger disk; deleted rows (qudo prune) leave space for new jobs in the file",
          figures: figures)
      ]
    }
    guard free < max(used, Self.maxWALSize - wal) else { return [] }
    return [
      Finding(
        "disk-space", .note,
        "\(size(free)) are free on the file system of the database, which has \(size(used)) with its WAL; during a long-running read transaction the WAL may grow to 1 GiB",
        advice:
          "keep as much free as the file has, for backups to this disk and qudo compact; in Swift, a lower maxWALSize bounds the WAL",
        figures: figures)
    ]
  }
}
