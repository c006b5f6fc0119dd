/// A MySQL or MariaDB server's database, and how to reach it.
public struct DatabaseServer: Hashable, Sendable {
  /// A setting of the connection, as it is after the `?`.
  public struct Option: Hashable, Sendable {
    /// Percent-decoded.
    public var name: String
    /// Percent-decoded; may be empty.
    public var value: String

    /// Nothing is checked.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// 3306.
  public static let defaultPort: UInt16 = 3306

  /// Nil where none is given: then the client library decides.
  public var user: String?
  /// In clear; descriptions have `***` in its place. Nil where none is given.
  public var password: String?
  /// A name, an IPv4 address, or an IPv6 address without its brackets.
  public var host: String
  /// Default 3306.
  public var port: UInt16
  /// The database's name on the server.
  public var name: String
  /// In the order in which they were given, each name once.
  public var options: [Option]

  /// Each with its default; nothing is checked.
  public init(
    user: String? = nil, password: String? = nil, host: String, port: UInt16 = DatabaseServer.defaultPort,
    name: String, options: [Option] = []
  ) {
    self.user = user
    self.password = password
    self.host = host
    self.port = port
    self.name = name
    self.options = options
  }

  /// Percent-encoded as far as needed, the port always there.
  func text(password: String?) -> String {
    var text = "mysql://"
    if let user {
      text += PercentEncoding.encode(user) + (password.map { ":" + PercentEncoding.encode($0) } ?? "") + "@"
    }
    text += host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    text += ":\(port)/\(PercentEncoding.encode(name))"
    let pairs = options.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }
    return text + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
  }
}

extension DatabaseServer: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The URL with `***` for the password.
  public var description: String { text(password: password.map { _ in "***" }) }
  public var debugDescription: String { description }
  /// Without the password: `dump` and debuggers would show it.
  public var customMirror: Mirror {
    Mirror(
      self, children: ["user": user as Any, "host": host, "port": port, "name": name, "options": options])
  }
}
