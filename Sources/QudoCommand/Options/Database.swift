public import ArgumentParser
internal import Qudo
public import QudoSQLite

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The option that says where the jobs are.
struct Database: ParsableArguments {
  @Option(help: ArgumentHelp(
    "The database: a path, or sqlite:PATH. Default: $QUDO_DATABASE, else qudo.db.", valueName: "database"))
  var database: [String] = []

  func validate() throws {
    if database.count > 1 { throw ValidationError("several databases are not in this build: give one --database") }
    _ = try path()
  }

  /// The file's path.
  func path() throws -> String {
    let given = database.first ?? getenv("QUDO_DATABASE").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    let url: DatabaseURL
    do { url = try DatabaseURL(parsing: given ?? "qudo.db") } catch { throw ValidationError(error.message) }
    guard case .sqlite(let path) = url.place else {
      throw ValidationError("\(SafeText.shown("\(url)")): this build has no driver for MySQL and MariaDB")
    }
    return path
  }

  /// Opens the database, calls `body`, and closes it whatever comes.
  ///
  /// - Parameter create: whether a file that is not there is made. Listings never do.
  func use<Result>(
    durability: SQLiteDriver.Durability = .full, create: Bool, _ body: (any LogDriver) async throws -> Result
  ) async throws -> Result {
    try await useFile(durability: durability, create: create) { try await body($0) }
  }

  /// The same for what only a SQLite file can do.
  func useFile<Result>(
    durability: SQLiteDriver.Durability, create: Bool, _ body: (SQLiteDriver) async throws -> Result
  ) async throws -> Result {
    let driver = try SQLiteDriver(path: path(), durability: durability, create: create)
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

/// The option of what writes jobs.
struct DurabilityOption: ParsableArguments {
  @Option(help: ArgumentHelp(
    "What a power cut may take: full (nothing acknowledged), normal (the last commits) or off (the file).", valueName: "durability"))
  var durability: SQLiteDriver.Durability = .full
}

extension SQLiteDriver.Durability: ExpressibleByArgument {}
