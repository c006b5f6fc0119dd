#if Dashboard
/// A link within the dashboard: a page, and what it is asked for.
///
/// Its text always begins with the dashboard's own path, so it cannot lead to another site or run a script.
struct Link: Hashable, Sendable {
  /// The dashboard's path: empty, or `/queue`.
  var base: String
  /// The page's name; empty for the overview.
  var page: String
  /// The query. Empty values are left out.
  var query: [Pair] = []

  struct Pair: Hashable, Sendable {
    var name: String
    var value: String
  }

  init(_ base: String, _ page: String, _ query: KeyValuePairs<String, String?> = [:]) {
    self.base = base
    self.page = page
    for (name, value) in query {
      if let value, !value.isEmpty { self.query.append(Pair(name: name, value: value)) }
    }
  }

  /// The path and the query, percent-encoded.
  var text: String {
    // At least one slash, and never two at the beginning, which would name a host.
    let path = base.isEmpty && page.isEmpty ? "/" : page.isEmpty ? base : "\(base)/\(page)"
    guard !query.isEmpty else { return path }
    return path + "?"
      + query.map { "\(Self.encoded($0.name))=\(Self.encoded($0.value))" }.joined(separator: "&")
  }

  /// Returns the link with another value in its query.
  func with(_ name: String, _ value: String?) -> Link {
    var link = self
    link.query.removeAll { $0.name == name }
    if let value, !value.isEmpty { link.query.append(Pair(name: name, value: value)) }
    return link
  }

  static func encoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        encoded += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return encoded
  }
}
#endif
