#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Qudo

/// Reads what stands behind `mysql:`.
///
/// No error repeats anything of the text. A password with a stray slash would be taken for a port or a name.
enum DatabaseURLParser {
  private typealias Part = Substring.UTF8View

  static func server(_ text: String) throws(QudoError) -> DatabaseServer {
    guard text.utf8.starts(with: "//".utf8) else {
      throw refusal("it begins with mysql:// and then the host")
    }
    let all = Substring(text).utf8.dropFirst(2)
    guard !all.contains(where: { $0 <= 32 || $0 == 127 }) else {
      throw refusal("a blank or control character must be percent-encoded")
    }
    guard !all.contains(UInt8(ascii: "#")) else { throw refusal("# must be written as %23") }
    let (front, query) = split(all, at: "?")
    let (authority, path) = split(front, at: "/")
    let (user, password, place) = try credentials(authority)
    let (host, port) = try endpoint(place)
    guard let path, !path.isEmpty else {
      throw refusal("the name of the database is missing: mysql://host/name")
    }
    guard !path.contains(UInt8(ascii: "/")) else {
      throw refusal("a slash in the user, the password or the name must be written as %2F")
    }
    return DatabaseServer(
      user: user, password: password, host: host, port: port, name: try decode(path, "name"),
      options: try options(query))
  }

  private static func refusal(_ what: String) -> QudoError {
    QudoError(.invalidArgument, "the database's URL is wrong: \(what)")
  }

  /// At the first delimiter; the second part is nil where there is none.
  private static func split(_ text: Part, at delimiter: Unicode.Scalar) -> (Part, Part?) {
    guard let place = text.firstIndex(of: UInt8(ascii: delimiter)) else { return (text, nil) }
    return (text[..<place], text[text.index(after: place)...])
  }

  private static func decode(_ text: Part, _ what: String) throws(QudoError) -> String {
    guard let decoded = PercentEncoding.decode(text) else {
      throw refusal(
        "the \(what) has a % that is not followed by the two digits of a byte, or bytes that are not UTF-8, or a NUL"
      )
    }
    return decoded
  }

  /// At the last `@`, so that one in the password does no harm.
  private static func credentials(_ authority: Part) throws(QudoError) -> (
    user: String?, password: String?, place: Part
  ) {
    guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return (nil, nil, authority) }
    let (user, password) = split(authority[..<at], at: ":")
    guard !user.isEmpty else { throw refusal("there is an @ and no user before it") }
    return (
      try decode(user, "user"), try password.map { part throws(QudoError) in try decode(part, "password") },
      authority[authority.index(after: at)...]
    )
  }

  private static func endpoint(_ place: Part) throws(QudoError) -> (host: String, port: UInt16) {
    guard place.first == UInt8(ascii: "[") else {
      let (host, port) = split(place, at: ":")
      guard port?.contains(UInt8(ascii: ":")) != true else {
        throw refusal("an IPv6 address must be in brackets: mysql://[::1]:3306/name")
      }
      return (try name(host), try number(port))
    }
    let (address, rest) = split(place.dropFirst(), at: "]")
    guard let rest else { throw refusal("the ] behind the address is missing") }
    guard rest.isEmpty || rest.first == UInt8(ascii: ":") else {
      throw refusal("behind ] only a port may follow")
    }
    let text = String(Substring(address))
    var parsed = in6_addr()
    guard inet_pton(AF_INET6, text, &parsed) == 1 else {
      throw refusal("what is in the brackets is no IPv6 address")
    }
    return (text, try number(rest.isEmpty ? nil : rest.dropFirst()))
  }

  private static func name(_ host: Part) throws(QudoError) -> String {
    guard !host.isEmpty else { throw refusal("the host is missing") }
    guard host.count <= 255, host.allSatisfy(isOfHost) else {
      throw refusal("the host has more than letters, digits, dots, - and _, or is too long")
    }
    return String(Substring(host))
  }

  private static func isOfHost(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
    default: false
    }
  }

  private static func number(_ port: Part?) throws(QudoError) -> UInt16 {
    guard let port else { return DatabaseServer.defaultPort }
    guard port.count <= 5, port.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let number = UInt16(Substring(port)), number > 0
    else {
      throw refusal(
        "the port is not a number from 1 to 65535; a : or / in the password must be percent-encoded")
    }
    return number
  }

  /// The driver interprets them.
  private static func options(_ query: Part?) throws(QudoError) -> [DatabaseServer.Option] {
    guard let query, !query.isEmpty else { return [] }
    var options: [DatabaseServer.Option] = []
    for pair in query.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false) {
      let (name, value) = split(pair, at: "=")
      guard let value, !name.isEmpty else {
        throw refusal("an option is written as name=value, and & stands between two")
      }
      let option = DatabaseServer.Option(try decode(name, "options"), try decode(value, "options"))
      // It would be shown.
      guard !["password", "passwd", "pass", "pwd"].contains(option.name.lowercased()) else {
        throw refusal("the password stands before the host")
      }
      guard !options.contains(where: { $0.name == option.name }) else {
        throw refusal("an option is given twice")
      }
      options.append(option)
    }
    return options
  }
}
