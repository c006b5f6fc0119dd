import Foundation
import ProcessSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The client program, which runs one query after the other: its start takes longer than most of them.
///
/// Between queries it is connected to no test's database, with a session that has no settings or transaction of a query.
final class Client: @unchecked Sendable {  // reason: used by one thread at a time; see ``Clients``
  private let process: ChildProcess
  private let input: FileHandle
  private let output: FileHandle
  private let errors: FileHandle

  init(socket: String) throws {
    let (input, output, errors) = (Pipe(), Pipe(), Pipe())
    let words = [
      "--no-defaults", "--protocol=socket", "--socket=\(socket)", "--user=root", "--batch", "--unbuffered",
      "--skip-column-names", "--skip-auto-rehash", Self.idle,
    ]
    process = try ChildProcess(
      Programs.find("mariadb"), words,
      files: (
        input.fileHandleForReading.fileDescriptor, output.fileHandleForWriting.fileDescriptor,
        errors.fileHandleForWriting.fileDescriptor
      ))
    try Watcher.one.get().add(process)
    for end in [input.fileHandleForReading, output.fileHandleForWriting, errors.fileHandleForWriting] {
      try end.close()
    }
    (self.input, self.output, self.errors) =
      (input.fileHandleForWriting, output.fileHandleForReading, errors.fileHandleForReading)
  }

  deinit {
    try? input.close()
    if process.end(within: 10) == nil {
      process.kill(SIGKILL)
      _ = process.end(within: 10)
    }
    try? Watcher.one.get().remove(process)
  }

  /// As ``MariaDBServer/query(_:in:)``. After an error, the program has ended.
  func query(_ statements: String, in database: String?) throws -> String {
    let end = "end of \(UUID().uuidString)"
    // Each command of the program is a line without a semicolon. To connect again ends the session, its transaction included.
    let lines =
      (database.map { ["use \($0)"] } ?? []) + [
        statements, ";", "connect \(Self.idle)", "SELECT '\(end)';", "",
      ]
    // If the program ends early, it does not read them all, and its error output says why. This thread is the query's own.
    var pipeSignal = sigset_t()
    sigemptyset(&pipeSignal)
    sigaddset(&pipeSignal, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipeSignal, nil)
    try? input.write(contentsOf: Data(lines.joined(separator: "\n").utf8))
    var text: [UInt8] = []
    let last = Array("\(end)\n".utf8)
    while !text.hasSuffix(last) {
      guard let part = try read(output) else {
        let status = process.end(within: 10).map { "ended with \($0)" } ?? "did not answer"
        process.kill(SIGKILL)
        var message: [UInt8] = []
        while let part = try? read(errors) { message += part }
        throw ServerTrouble(
          description:
            "mariadb \(status): \(String(decoding: message, as: UTF8.self)) \(String(decoding: text, as: UTF8.self))"
        )
      }
      text += part
    }
    return String(decoding: text.dropLast(last.count), as: UTF8.self)
  }

  private static let idle = "information_schema"

  /// - Returns: Nil at the end, or if nothing comes for two minutes.
  private func read(_ file: FileHandle) throws -> [UInt8]? {
    var ready = pollfd(fd: file.fileDescriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, 120_000) > 0 else { return nil }
    let part = file.availableData
    return part.isEmpty ? nil : [UInt8](part)
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ end: [UInt8]) -> Bool { suffix(end.count).elementsEqual(end) }
}

/// The clients of a server that are idle.
final class Clients: @unchecked Sendable {  // reason: `idle` is touched under `lock` only
  private let socket: String
  private let lock = NSLock()
  private var idle: [Client] = []

  init(socket: String) { self.socket = socket }

  func query(_ statements: String, in database: String?) throws -> String {
    let client = try lock.withLock { idle.popLast() } ?? Client(socket: socket)
    let text = try client.query(statements, in: database)
    lock.withLock { idle.append(client) }
    return text
  }
}
