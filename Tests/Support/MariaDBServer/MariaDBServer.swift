public import Foundation
import ProcessSupport

/// A real server on 127.0.0.1, in a temporary folder of its own.
///
/// It ends, and its folder goes, when nobody has this object any longer, and when the test process ends, however that is.
public final class MariaDBServer: @unchecked Sendable {  // reason: `process`, `options` and `made` are touched under `lock` only
  /// Of all that a test makes databases on, but does not stop or change.
  private static let one = SharedServer()

  /// One for the whole test process, started when it is first asked for. It is nobody's to stop or change.
  public static func shared() async throws -> MariaDBServer { try await one.server() }

  /// The same from start to start; set before anybody has this object.
  public private(set) var port: UInt16
  /// Who may do everything, from everywhere, with ``password``. There is also `root` without a password, on ``socket`` only.
  public let user = Template.user
  /// It has characters that a URL must have percent-encoded.
  public let password = Template.password
  public let folder: URL
  /// For temporary tables, which the server makes and removes for some statements, thousands of times in a test run.
  private let temporary: URL
  public var socket: String { folder.appendingPathComponent("s").path }
  /// What it reported since its last start.
  public var log: String {
    (try? String(contentsOf: folder.appendingPathComponent("log"), encoding: .utf8)) ?? ""
  }

  private let lock = NSLock()
  private var process: ChildProcess?
  private var made = 0
  /// Of the shared server only: nobody stops it, so the programs stay connected.
  private var clients: Clients?

  /// A server of one's own, which answers.
  ///
  /// - Parameter options: of `mariadbd`, in addition to, or instead of, the usual ones: `--max-allowed-packet=1M`.
  public static func start(_ options: [String] = []) async throws -> MariaDBServer {
    try await blocking {
      let server = try MariaDBServer()
      try server.run(options, mayMove: true)
      return server
    }
  }

  private init() throws {
    folder = try temporaryFolder()
    temporary = try memoryFolder() ?? folder
    port = try Sockets.freePort()
    try Template.copy(to: folder.appendingPathComponent("data"))
  }

  deinit {
    end(process, SIGKILL)
    try? FileManager.default.removeItem(at: folder)
    if temporary != folder { try? FileManager.default.removeItem(at: temporary) }
  }

  /// Call this before anybody else has the server.
  fileprivate func keepClients() { clients = Clients(socket: socket) }

  public var isRunning: Bool { lock.withLock { process?.isRunning ?? false } }

  /// Again, in the same folder and at the same port, until it answers. A start after ``kill()`` recovers first.
  ///
  /// - Parameter options: instead of those of the start before: `--read-only`.
  public func start(_ options: [String] = []) async throws {
    try await blocking { [self] in try run(options, mayMove: false) }
  }

  /// In order, as SIGTERM has it. Connections are closed.
  public func stop() async throws {
    try await blocking { [self] in
      guard let process = lock.withLock({ process }) else { return }
      process.kill(SIGCONT)
      process.kill(SIGTERM)
      guard process.end(within: 60) != nil else {
        throw ServerTrouble(description: "the server did not stop: \(log.suffix(2000))")
      }
      try Watcher.one.get().remove(process)
      lock.withLock { self.process = nil }
    }
  }

  /// With SIGKILL, in the midst of whatever it does, and waits for its end.
  public func kill() {
    let process = lock.withLock {
      defer { self.process = nil }
      return self.process
    }
    end(process, SIGKILL)
  }

  /// With SIGSTOP: connections stay open, new ones are taken by the system, nothing answers.
  public func pause() { lock.withLock { process }?.stop() }

  /// After ``pause()``.
  public func resume() { lock.withLock { process }?.kill(SIGCONT) }

  private func end(_ process: ChildProcess?, _ signal: Int32) {
    guard let process else { return }
    process.kill(signal)
    _ = process.end(within: 60)
    try? Watcher.one.get().remove(process)
  }

  private func run(_ options: [String], mayMove: Bool) throws {
    guard !isRunning else { throw ServerTrouble(description: "the server runs already") }
    var rest = 5
    while true {
      let process = try spawn(options)
      if try answers(process) {
        lock.withLock { self.process = process }
        return
      }
      try Watcher.one.get().remove(process)
      rest -= 1
      // Somebody was faster at that port.
      guard rest > 0, log.contains("Address already in use") else {
        throw ServerTrouble(description: "the server did not start: \(log.suffix(4000))")
      }
      if mayMove { port = try Sockets.freePort() }
    }
  }

  private func spawn(_ options: [String]) throws -> ChildProcess {
    try Data().write(to: folder.appendingPathComponent("log"))
    // A server that was killed left it.
    try? FileManager.default.removeItem(atPath: socket)
    let words = [
      "--no-defaults", "--datadir=\(folder.path)/data", "--tmpdir=\(temporary.path)",
      "--pid-file=\(folder.path)/pid", "--socket=\(socket)", "--bind-address=127.0.0.1", "--port=\(port)",
      "--skip-name-resolve",
      "--performance-schema=OFF", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M",
      "--key-buffer-size=1M",
      "--aria-pagecache-buffer-size=1M", "--innodb-flush-log-at-trx-commit=1",
      "--innodb-buffer-pool-dump-at-shutdown=OFF",
      // Tests kill servers and cut no power: what is written survives, and a hundred tests that make their tables at
      // once on a slow disk do not wait for each other.
      "--debug-no-sync", "--skip-sync-frm", "--innodb-flush-method=nosync",
      // Servers before MariaDB 10.9 have no such option, and write like this.
      "--loose-innodb-log-file-buffering=ON",
      // Spinning takes the cores from the thread that has the lock: tests have few of them.
      "--innodb-sync-spin-loops=0", "--innodb-purge-threads=1",
    ]
    // With `--log-error` it would be silent about options that it refuses.
    let file = try FileHandle(forUpdating: folder.appendingPathComponent("log"))
    defer { try? file.close() }
    let process = try ChildProcess(
      Programs.find("mariadbd"), words + Programs.asRoot + options, in: folder.path,
      files: (file.fileDescriptor, file.fileDescriptor, file.fileDescriptor), apart: true)
    try Watcher.one.get().add(process)
    return process
  }

  /// False when it ended.
  private func answers(_ process: ChildProcess) throws -> Bool {
    let end = Date(timeIntervalSinceNow: 60)
    // Another server may be at the port, with which this one ends; but nobody else makes its socket, the last that it opens.
    while !FileManager.default.fileExists(atPath: socket) || !Sockets.speaks(port, within: 10)
      || !process.isRunning
    {
      guard process.end(within: 0) == nil else { return false }
      guard Date() < end else {
        process.kill(SIGKILL)
        throw ServerTrouble(description: "the server does not answer: \(log.suffix(4000))")
      }
      usleep(5000)
    }
    return true
  }
}

extension MariaDBServer {
  /// A new and empty database.
  ///
  /// - Returns: the database's name on the server.
  public func makeDatabase() async throws -> String {
    let name = "test\(lock.withLock { made += 1; return made })"
    try await query("CREATE DATABASE \(name)")
    return name
  }

  /// `mysql://user:password@127.0.0.1:port/name`, with what must be percent-encoded. It has the password.
  ///
  /// - Parameters:
  ///   - name: of a database on the server.
  ///   - user: default ``user``.
  ///   - password: default ``password``.
  ///   - options: what stands behind the `?`.
  public func url(_ name: String, user: String? = nil, password: String? = nil, options: String = "")
    -> String
  {
    func encoded(_ text: String) -> String {
      text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
    let question = options.isEmpty ? "" : "?\(options)"
    return
      "mysql://\(encoded(user ?? self.user)):\(encoded(password ?? self.password))@127.0.0.1:\(port)/\(name)\(question)"
  }

  /// What makes a database as it is now of one with or without its tables: the output of `mariadb-dump`.
  public func dump(_ database: String) async throws -> String {
    let words = [
      "--no-defaults", "--protocol=socket", "--socket=\(socket)", "--user=root", "--hex-blob", database,
    ]
    return try await blocking { try Programs.run("mariadb-dump", words) }
  }

  /// Runs statements as `root`, with the client program.
  ///
  /// - Parameter database: the one they are about; none by default.
  /// - Returns: the rows, a line each, with tabs between the columns, and without the columns' names.
  @discardableResult
  public func query(_ statements: String, in database: String? = nil) async throws -> [String] {
    let words = [
      "--no-defaults", "--protocol=socket", "--socket=\(socket)", "--user=root", "--batch",
      "--skip-column-names",
    ]
    return try await blocking { [clients] in
      let text =
        if let clients { try clients.query(statements, in: database) } else {
          try Programs.run("mariadb", words + (database.map { [$0] } ?? []), input: statements)
        }
      return text.split(separator: "\n").map(String.init)
    }
  }

  /// Runs a query until its rows are as wanted.
  ///
  /// It may not read `INNODB_TRX`: while it is asked for more often than ten times a second, the server answers as it did the first time.
  ///
  /// - Parameter isMet: by default, whether there is any row.
  /// - Throws: ``ServerTrouble`` if they are not within two minutes.
  public func wait(
    for query: String, in database: String? = nil, until isMet: ([String]) -> Bool = { !$0.isEmpty }
  ) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while true {
      let rows = try await self.query(query, in: database)
      if isMet(rows) { return }
      guard ContinuousClock.now < end else {
        throw ServerTrouble(description: "after two minutes, the answer to this is still \(rows): \(query)")
      }
      await Task.yield()
    }
  }
}

/// All who ask while it starts wait for the same start.
private actor SharedServer {
  private var start: Task<MariaDBServer, any Error>?

  func server() async throws -> MariaDBServer {
    let task =
      start
      ?? Task {
        let server = try await MariaDBServer.start(["--max-connections=2000"])
        server.keepClients()
        return server
      }
    start = task
    return try await task.value
  }
}
