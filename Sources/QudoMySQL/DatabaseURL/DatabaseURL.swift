public import Qudo

/// The location of a database, as the command's option `--database` accepts it:
///
/// - a path, or `sqlite:` and a path, which is taken as it is;
/// - `mysql://user:password@host:port/name?option=value`, or `mariadb://` likewise. Everything but host and port is
///   percent-decoded. The user, the password, the port (3306) and the options may be left out. An IPv6 address is
///   in brackets.
///
/// Neither its description nor what debuggers and `dump` show of it has the password, nor has any error of the parser.
/// ``text`` has it.
///
/// It needs no trait, so that a program without the driver can read such a URL, and say what it lacks.
public struct DatabaseURL: Hashable, Sendable {
  /// A file or a server.
  public enum Location: Hashable, Sendable {
    /// A file.
    case sqlite(path: String)
    /// A database of a MySQL or MariaDB server.
    case mysql(DatabaseServer)
  }
  /// The location.
  public let place: Location

  /// A server's database.
  public init(_ server: DatabaseServer) { place = .mysql(server) }

  /// Bytes are looked at, not characters: a character that combines with a delimiter does not hide it.
  ///
  /// - Throws: `QudoError.Code.invalidArgument` that says what is wrong, and repeats nothing of the text.
  public init(parsing text: String) throws(QudoError) {
    guard !text.isEmpty else { throw QudoError(.invalidArgument, "the database is empty: give a path") }
    guard !text.utf8.contains(0) else { throw QudoError(.invalidArgument, "the database has a NUL byte") }
    let (scheme, rest) = Self.scheme(text)
    switch scheme {
    case "sqlite":
      guard !rest.isEmpty else { throw QudoError(.invalidArgument, "sqlite: has no path after it") }
      guard !rest.utf8.starts(with: "//".utf8) else {
        throw QudoError(
          .invalidArgument, "a SQLite file is given as sqlite:PATH, without slashes before the path")
      }
      place = .sqlite(path: rest)
    case "mysql", "mariadb": place = .mysql(try DatabaseURLParser.server(rest))
    default:
      guard !text.utf8.contains("://".utf8) else {
        throw QudoError(
          .invalidArgument, "the database must be a path, sqlite:PATH or mysql://user:password@host:port/name"
        )
      }
      place = .sqlite(path: text)
    }
  }

  /// The text before the first colon, in lower case.
  private static func scheme(_ text: String) -> (String?, rest: String) {
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return (nil, text) }
    return (text[..<colon].lowercased(), String(text[text.utf8.index(after: colon)...]))
  }

  /// The text from which ``init(parsing:)`` makes an equal value. **It has the password.**
  public var text: String {
    switch place {
    case .mysql(let server): return server.text(password: server.password)
    case .sqlite(let path):
      if let plain = try? DatabaseURL(parsing: path), plain == self { return path }
      return "sqlite:\(path)"
    }
  }
}

extension DatabaseURL: CustomStringConvertible, CustomDebugStringConvertible {
  /// A path, or the URL with `***` for the password.
  public var description: String {
    switch place {
    case .sqlite(let path): path
    case .mysql(let server): server.description
    }
  }
  public var debugDescription: String { description }
}
