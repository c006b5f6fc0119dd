internal import Qudo
#if MySQL
internal import QudoMySQL
#endif
internal import QudoSQLite

/// How the command opens a database.
struct DatabaseOpening: Sendable {
  let durability: SQLiteDriver.Durability
  let create: Bool
  /// Whether a file is opened for listings alone.
  var isListing = false

  /// Whether this build has a driver for servers.
  static var hasServers: Bool {
    #if MySQL
    true
    #else
    false
    #endif
  }

  /// Refuses a server's URL with options that are unknown or wrong. Nothing is opened.
  static func check(_ url: DatabaseURL) throws(QudoError) {
    #if MySQL
    if url.isServer { _ = try MySQLDriver(url) }
    #endif
  }

  /// - Parameter name: what a new file is named.
  func open(_ url: DatabaseURL, name: String?) async throws(QudoError) -> any LogDriver {
    switch url.place {
    case .sqlite(let path) where isListing: try SQLiteListings(path: path)
    case .sqlite(let path): try SQLiteDriver(path: path, name: name, durability: durability, create: create)
    case .mysql(let server): try await open(server)
    }
  }

  /// Connects, so that what is wrong is known.
  private func open(_ server: DatabaseServer) async throws(QudoError) -> any LogDriver {
    #if MySQL
    let driver = try MySQLDriver(Self.completed(server))
    do throws(QudoError) {
      try await driver.connect()
      return driver
    } catch {
      await driver.close()
      throw error
    }
    #else
    throw QudoError(
      .invalidArgument, "\(server): this build has no driver for MySQL and MariaDB: build with --traits MySQL"
    )
    #endif
  }

  #if MySQL
  /// With user and password from where they are kept, if the URL lacks them.
  static func completed(_ server: DatabaseServer) throws(QudoError) -> DatabaseServer {
    let login = try MySQLLogin(completing: server)
    for warning in login.warnings where told.withLock({ $0.insert(warning).inserted }) { printError(warning) }
    return login.server
  }

  /// Each warning is given once.
  private static let told = Locked<Set<String>>([])
  #endif

  /// The schema as SQL, of a file or of a server's database.
  static func schema(of url: DatabaseURL) -> String {
    #if MySQL
    if case .mysql = url.place { return MySQLDriver.schemaSQL }
    #endif
    return SQLiteDriver.schemaSQL
  }

  /// What new files are named: as by default, but for those that would get the same name, since jobs are named by it. These are
  /// named by their paths.
  static func names(_ urls: [DatabaseURL]) -> [String?] {
    let stems = urls.map { url in
      if case .sqlite(let path) = url.place {
        SQLiteDriver.defaultName(forPath: path)
      } else {
        nil as String?
      }
    }
    return zip(urls, stems).map { url, stem in
      guard case .sqlite(let path) = url.place, stems.count(where: { $0 == stem }) > 1 else { return nil }
      return path
    }
  }
}

extension DatabaseURL {
  var isServer: Bool {
    if case .mysql = place { true } else { false }
  }
}
