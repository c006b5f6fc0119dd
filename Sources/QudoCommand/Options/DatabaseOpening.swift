internal import Qudo
internal import QudoMySQL
internal import QudoSQLite

/// Opens a database for the command.
struct DatabaseOpening: Sendable {
  let durability: SQLiteDriver.Durability
  let create: Bool
  /// True to open a file only for listings.
  var isListing = false
  /// How long a listing waits for a process that recovers or closes the file.
  var listingTimeout = Duration.seconds(5)

  /// True if this build has a driver for servers.
  static var hasServers: Bool {
    #if MySQL
    true
    #else
    false
    #endif
  }

  /// Rejects a server's URL with unknown or invalid options, without opening anything.
  static func check(_ url: DatabaseURL) throws(QudoError) {
    #if MySQL
    if url.isServer { _ = try MySQLDriver(url) }
    #endif
  }

  /// - Parameter name: the database name for a new file.
  func open(_ url: DatabaseURL, name: String?) async throws(QudoError) -> any LogDriver {
    switch url.place {
    case .sqlite(let path) where isListing: try SQLiteListings(path: path, timeout: listingTimeout)
    case .sqlite(let path): try SQLiteDriver(path: path, name: name, durability: durability, create: create)
    case .mysql(let server): try await open(server)
    }
  }

  /// Opens a server's database. Connects at once, so that errors show up here.
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
      .invalidArgument,
      "\(server): this build has no driver for MySQL and MariaDB. Build it with --traits MySQL"
    )
    #endif
  }

  #if MySQL
  /// Returns the server with the stored user and password, if the URL lacks them.
  static func completed(_ server: DatabaseServer) throws(QudoError) -> DatabaseServer {
    let login = try MySQLLogin(completing: server)
    for warning in login.warnings where told.withLock({ $0.insert(warning).inserted }) { printError(warning) }
    return login.server
  }

  /// The warnings printed so far, so that each is printed once.
  private static let told = Locked<Set<String>>([])
  #endif

  /// Returns the schema as SQL, for a file or for a server's database.
  static func schema(of url: DatabaseURL) -> String {
    #if MySQL
    if case .mysql = url.place { return MySQLDriver.schemaSQL }
    #endif
    return SQLiteDriver.schemaSQL
  }

  /// Returns the database names for new files. Nil stands for the default name. Files whose default names
  /// collide get their paths as names, since job ids include the database name.
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
