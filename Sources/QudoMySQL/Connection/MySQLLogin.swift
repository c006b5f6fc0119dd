#if MySQL
public import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A server whose URL lacks a user or a password, completed from other places.
///
/// Use it to keep a password out of a program's arguments, which every user of the machine can read:
///
///     let login = try MySQLLogin(completing: server)
///     let driver = try MySQLDriver(login.server)
///
/// The first of these that has a password decides:
///
/// 1. the URL itself, `mysql://user:password@host/name`; an empty one, `user:@host`, is a password too
/// 2. the URL's option `password-file`: ``MySQLDriver`` reads that file for each connection
/// 3. the environment variable `QUDO_MYSQL_PASSWORD`, if it is not empty
/// 4. `password` in the group `[client]` of `~/.my.cnf`, unless that group names another user than the URL
///
/// If the URL has no user, `MySQLLogin` takes the `user` of that group. It ignores a `~/.my.cnf` that any
/// user may write to, and adds a warning.
public struct MySQLLogin: Sendable {
  /// The server, with the user and the password that were found.
  public let server: DatabaseServer
  /// Messages about files whose permissions let every user read the password, or write to `~/.my.cnf`.
  public let warnings: [String]

  /// Completes a server.
  ///
  /// - Throws: `QudoError.Code.cannotOpen` if the file of `password-file` is missing, or if it or `~/.my.cnf`
  ///   cannot be read, is longer than 64 KiB, is not UTF-8, or contains a NUL byte. Only a missing
  ///   `~/.my.cnf` is not an error.
  public init(completing server: DatabaseServer) throws(QudoError) {
    let home = Self.variable("HOME").map { $0 + "/.my.cnf" }
    try self.init(completing: server, password: Self.variable("QUDO_MYSQL_PASSWORD"), optionFile: home)
  }

  /// - Parameters:
  ///   - password: The password from the environment.
  ///   - optionFile: The path of a file like `~/.my.cnf`, which may be missing.
  init(completing server: DatabaseServer, password: String?, optionFile: String?) throws(QudoError) {
    var (completed, warnings) = (server, [String]())
    let passwordFile = server.options.first { $0.name == "password-file" }?.value
    if let passwordFile, try SecretFile(passwordFile).isReadableByOthers {
      warnings.append(Self.readable(passwordFile))
    }
    var needsPassword = server.password == nil && passwordFile == nil
    if needsPassword, let password {
      completed.password = password
      needsPassword = false
    }
    if needsPassword || server.user == nil, let optionFile, SecretFile.isThere(optionFile) {
      let file = try SecretFile(optionFile)
      if file.isWritableByOthers {
        warnings.append("\(optionFile) is ignored: any user may write to it. Run chmod 600 \(optionFile)")
      } else {
        let found = OptionFile(file.text)
        completed.user = server.user ?? found.user
        if needsPassword, found.password != nil, found.user == nil || found.user == completed.user {
          completed.password = found.password
          if file.isReadableByOthers { warnings.append(Self.readable(optionFile)) }
        }
      }
    }
    self.server = completed
    self.warnings = warnings
  }

  private static func readable(_ path: String) -> String {
    "any user may read the password in \(path). Run chmod 600 \(path)"
  }

  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
#endif
