public import ArgumentParser
internal import Logging
internal import Qudo
internal import QudoMonitor
internal import QudoMySQL
public import QudoSQLite

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The `--database` option.
struct Database: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The database: a path, or sqlite:PATH, or mysql://user:password@host:port/name; repeat for several; unavailable ones are \
      skipped. Other users can read a password given here. Instead, name a file that has it \
      (mysql://user@host/name?password-file=PATH), set QUDO_MYSQL_PASSWORD, or keep it in ~/.my.cnf. Default: $QUDO_DATABASE \
      (commas between several), else qudo.db.
      """, valueName: "database"))
  var database: [String] = []

  func validate() throws { _ = try urls() }

  /// Returns the databases' URLs in the order given.
  func urls() throws -> [DatabaseURL] {
    let variable = getenv("QUDO_DATABASE").map { String(cString: $0) } ?? ""
    let all = database.isEmpty ? variable.split(separator: ",").map(String.init) : database
    var urls: [DatabaseURL] = []
    for text in all.isEmpty ? ["qudo.db"] : all {
      let url: DatabaseURL
      do { url = try DatabaseURL(parsing: text) } catch { throw ValidationError(error.message) }
      do { try DatabaseOpening.check(url) } catch { throw ValidationError(error.message) }
      guard !urls.contains(url) else {
        throw ValidationError("\(SafeText.terminalSafe("\(url)")) is given twice")
      }
      if case .mysql = url.place, !DatabaseOpening.hasServers {
        throw ValidationError(
          "\(SafeText.terminalSafe("\(url)")): this build has no driver for MySQL and MariaDB. Build it with --traits MySQL"
        )
      }
      urls.append(url)
    }
    return urls
  }

  /// True if there are several databases, so that a job's number alone does not identify it.
  var isSeveral: Bool { (try? urls().count > 1) ?? false }

  /// Returns the only database's URL.
  func only(_ command: String) throws -> DatabaseURL {
    let urls = try urls()
    guard urls.count == 1 else { throw ValidationError("\(command) takes one --database") }
    return urls[0]
  }

  /// Returns the path of the only database.
  func path(_ command: String) throws -> String {
    guard case .sqlite(let path) = try only(command).place else {
      throw ValidationError("\(command) needs a SQLite file")
    }
    return path
  }

  /// Opens the databases, calls `body`, and closes them even if `body` throws.
  ///
  /// - Parameters:
  ///   - create: true to create a missing file.
  ///   - enqueues: true to wait for an unavailable server and to repeat an enqueue with an unknown outcome.
  func use<Result>(
    durability: SQLiteDriver.Durability = .full, create: Bool, _ fleet: FleetOptions? = nil,
    enqueues: Bool = false,
    _ body: (Databases) async throws -> Result
  ) async throws -> Result {
    try await use(DatabaseOpening(durability: durability, create: create), fleet, enqueues: enqueues, body)
  }

  /// Opens the databases for listings. This neither creates nor changes a file, and waits for no writer.
  func list<Result>(_ body: (Databases) async throws -> Result) async throws -> Result {
    try await use(
      DatabaseOpening(durability: .full, create: false, isListing: true), nil, enqueues: false, body)
  }

  /// Returns how to open each database for monitoring. None is created, nor waited for beyond the timeout.
  ///
  /// - Returns: The sources, in the order of the databases. Their names are those that files would have by their paths, or the
  ///   URLs if several would have that name.
  func sources(_ timeout: Duration) throws -> [QueueSampler.Source] {
    let opening = DatabaseOpening(
      durability: .full, create: false, isListing: true, listingTimeout: timeout)
    let urls = try urls()
    let names = urls.map { url -> String in
      if case .sqlite(let path) = url.place { SQLiteDriver.defaultName(forPath: path) } else { "\(url)" }
    }
    return zip(urls, names).map { url, name in
      QueueSampler.Source(names.count { $0 == name } == 1 ? name : "\(url)") { () async throws(QudoError) in
        guard let driver = try await opening.open(url, name: nil) as? any ObservedDriver else {
          throw QudoError(.database, "the driver cannot report figures: use a SQLite file or a server")
        }
        return driver
      }
    }
  }

  /// Reads something from all databases concurrently, for monitoring. None is created or migrated, nor waited for beyond
  /// the timeout.
  ///
  /// - Returns: The answers, in the order of the databases. A file that cannot be opened has the name that it would have by its path,
  ///   or its URL if several would have that name, so that its metrics keep their labels.
  func observe<Value: Sendable>(
    within timeout: Duration,
    _ body: @escaping @Sendable (any ObservedDriver) async throws(QudoError) -> Value
  ) async throws -> [DatabaseAnswer<Value>] {
    var options = DatabaseOptions()
    options.callTimeout = timeout
    options.logger = Logger(label: "qudo") { _ in StandardErrorLog() }
    options.logger.logLevel = .critical
    let databases = try Databases(
      sources(timeout).map { source in
        Databases.Source(source.name) { () async throws(QudoError) in try await source.open() }
      }, options: options)
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      guard let driver = driver as? any ObservedDriver else {
        throw QudoError(.database, "the driver cannot report figures: use a SQLite file or a server")
      }
      return try await body(driver)
    }
    // The process ends next: a database that did not answer is not waited for again.
    if answers.allSatisfy({ (try? $0.result.get()) != nil }) { await databases.close() }
    return answers
  }

  /// Opens the databases for a page that stays open: an unavailable one is tried again every few seconds.
  ///
  /// - Parameter opening: How to open each of them. None is created.
  func watch(_ opening: DatabaseOpening) throws -> Databases {
    var options = DatabaseOptions()
    (options.probeInterval, options.callTimeout) = (.seconds(5), .seconds(10))
    options.logger = Logger(label: "qudo") { _ in StandardErrorLog() }
    options.logger.logLevel = .critical
    let urls = try urls()
    let names = urls.map { url -> String in
      if case .sqlite(let path) = url.place { SQLiteDriver.defaultName(forPath: path) } else { "\(url)" }
    }
    return try Databases(
      zip(urls, names).map { url, name in
        Databases.Source(names.count { $0 == name } == 1 ? name : "\(url)") { () async throws(QudoError) in
          try await opening.open(url, name: nil)
        }
      }, options: options)
  }

  private func use<Result>(
    _ opening: DatabaseOpening, _ fleet: FleetOptions?, enqueues: Bool,
    _ body: (Databases) async throws -> Result
  ) async throws -> Result {
    let urls = try urls()
    let databases: Databases
    if urls.count == 1, !enqueues || !urls[0].isServer {
      databases = Databases(try await opening.open(urls[0], name: nil))
    } else {
      databases = try watched(urls, opening, fleet, enqueues: enqueues)
    }
    do {
      let result = try await body(databases)
      await close(databases, urls)
      return result
    } catch {
      await close(databases, urls)
      throw error
    }
  }

  /// Closes databases at the end of the command. A server that does not answer holds it up no longer than two seconds: what it was
  /// sent has been reported as unknown, and its connections end with the process.
  private func close(_ databases: Databases, _ urls: [DatabaseURL]) async {
    guard urls.contains(where: \.isServer) else { return await databases.close() }
    let (ended, end) = AsyncStream<Void>.makeStream()
    Task {
      await databases.close()
      end.finish()
    }
    Task {
      // Only a cancellation makes a sleep throw, and then the command need not wait.
      try? await Task.sleep(for: .seconds(2))
      end.finish()
    }
    for await _ in ended {}
  }

  private func watched(
    _ urls: [DatabaseURL], _ opening: DatabaseOpening, _ fleet: FleetOptions?, enqueues: Bool
  ) throws -> Databases {
    var options = DatabaseOptions()
    options.repeatsUnknown = enqueues && urls.contains { $0.isServer }
    options.waitsForOutages = enqueues
    // A single database need not leave time for others, and a batch over a slow network takes a while.
    if urls.count == 1 { options.callTimeout = .seconds(30) }
    options.logger = Logger(label: "qudo") { _ in StandardErrorLog() }
    // A listing itself reports unavailable databases.
    options.logger.logLevel = fleet == nil ? .critical : .warning
    if let fleet { fleet.set(&options) }
    let names = DatabaseOpening.names(urls)
    return try Databases(
      zip(urls, names).map { url, name in
        Databases.Source("\(url)") { () async throws(QudoError) in try await opening.open(url, name: name) }
      }, options: options)
  }

  /// Opens the only database for a command that needs a SQLite file.
  func useFile<Result>(
    _ command: String, durability: SQLiteDriver.Durability, create: Bool,
    _ body: (SQLiteDriver) async throws -> Result
  ) async throws -> Result {
    let driver = try SQLiteDriver(path: path(command), durability: durability, create: create)
    do {
      let result = try await body(driver)
      await driver.close()
      return result
    } catch {
      await driver.close()
      throw error
    }
  }
}

/// The `--durability` option, for commands that write jobs.
struct DurabilityOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What a power cut can destroy: full (nothing acknowledged), normal (the last commits) or off (the file).",
      valueName: "durability"))
  var durability: SQLiteDriver.Durability = .full
}

extension SQLiteDriver.Durability: ExpressibleByArgument {}
