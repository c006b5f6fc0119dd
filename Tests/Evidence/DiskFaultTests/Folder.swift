import CSQLite
import Foundation
import Logging
import Testing

/// A folder for one database, in memory where the system has a place for that.
final class Folder: Sendable {
  let path: String
  private let folder: String

  static let root: String = {
    let memory = "/dev/shm"
    return FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
  }()

  /// Of the names of the files of a database.
  static let ends = ["", "-wal", "-journal"]

  static let quiet = Logger(label: "disk") { _ in SwiftLogNoOpLogHandler() }

  /// - Parameter files: by the ends of their names, such as `-wal`; or by their paths.
  init(_ files: [String: [UInt8]]) throws {
    folder = Self.root + "/qudo-disk-\(UUID().uuidString)"
    path = folder + "/jobs.db"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    for (name, bytes) in files {
      let end = name.range(of: "jobs.db").map { String(name[$0.upperBound...]) } ?? name
      try Data(bytes).write(to: URL(fileURLWithPath: path + end))
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// The files as they are. Nobody may have them open.
  func files() -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for end in Self.ends {
      if let data = FileManager.default.contents(atPath: path + end) { files[end] = [UInt8](data) }
    }
    return files
  }

  /// Runs SQL on a connection of its own; the first column of the rows.
  @discardableResult
  func run(_ sql: String) throws -> [String] {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    var rows: [String] = []
    var rest = sql
    while !rest.isEmpty {
      var statement: OpaquePointer?
      defer { sqlite3_finalize(statement) }
      var length = 0
      let prepared = rest.withCString { text in
        var tail: UnsafePointer<CChar>?
        let code = sqlite3_prepare_v2(handle, text, -1, &statement, &tail)
        length = tail.map { $0 - text } ?? 0
        return code
      }
      try #require(prepared == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
      rest = String(decoding: Array(rest.utf8.dropFirst(length)), as: UTF8.self).trimmingCharacters(
        in: .whitespacesAndNewlines)
      var code = sqlite3_step(statement)
      while code == SQLITE_ROW {
        rows.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "")
        code = sqlite3_step(statement)
      }
      try #require(code == SQLITE_DONE, "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
    }
    return rows
  }
}
