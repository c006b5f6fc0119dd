internal import Logging
internal import Qudo

/// The backup that a restore copies, opened and checked.
struct RestoreSource {
  let connection: Connection
  let path: String
  let status: FileStatus
  let version: Int64

  init(_ path: String, _ limits: Limits, _ logger: Logger, checks: Bool) throws(QudoError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument, "the backup's path is empty or contains a NUL byte: pass the path of a file")
    }
    do throws(QudoError) {
      let place = try DatabasePath(path, isWritten: false).path
      guard let status = FileStatus(place) else {
        throw QudoError(.cannotOpen, "there is no such file: give the path of a backup")
      }
      if let ending = Self.changes(beside: place) {
        throw QudoError(
          .unsupportedDatabase,
          "there is a \(ending) next to it, so it is a database that is in use or was not closed, not a backup: make one with qudo backup"
        )
      }
      connection = try Connection.still(place, limits)
      version = try connection.readableSchema(logger)
      let lowest = try connection.schemaTable.lowestVersion(.writing) ?? 0
      guard lowest <= Schema.version else {
        throw QudoError(
          .newerSchema,
          "the backup has schema \(version), and this Qudo knows \(Schema.version): update this program")
      }
      if checks { try connection.checkPages() }
      (self.path, self.status) = (place, status)
    } catch {
      throw QudoError(
        error.code, error.message.hasPrefix("\(path): ") ? error.message : "\(path): \(error.message)",
        cause: error.cause)
    }
  }

  /// The ending of a file next to the backup that may contain changes of it; nil if there is none.
  private static func changes(beside path: String) -> String? {
    ["-wal", "-journal"].first { (FileStatus(path + $0)?.size ?? 0) > 0 }
  }

  func checkUnchanged() throws(QudoError) {
    guard FileStatus(path)?.stamp == status.stamp, Self.changes(beside: path) == nil else {
      throw QudoError(.busy, "\(path) was changed while it was copied: wait until its backup has ended")
    }
  }
}
