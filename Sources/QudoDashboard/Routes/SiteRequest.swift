#if Dashboard
/// A request for a page, apart from how it arrived.
struct SiteRequest: Sendable {
  enum Method: Sendable { case get, post }

  var method = Method.get
  /// The path of the dashboard: empty, or `/queue`.
  var base = ""
  /// The page's name; empty for the overview.
  var page = ""
  var query = Fields()
  /// The fields of a form that was sent.
  var form = Fields()
  var host: String?
  /// Whether the browser sent the request over TLS, as far as the server and its proxy tell.
  var isOverTLS = false
  var origin: String?
  /// The header `Sec-Fetch-Site`, which browsers set and pages cannot.
  var fetchSite: String?
  /// The header `Cookie`.
  var cookies: [String] = []

  /// Returns a cookie's value.
  func cookie(_ name: String) -> String? {
    for header in cookies {
      for pair in header.split(separator: ";") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { continue }
        if parts[0].drop(while: { $0 == " " }) == name[...] { return String(parts[1]) }
      }
    }
    return nil
  }
}

/// The fields of a query or form.
struct Fields: Sendable {
  private var pairs: [(name: String, value: String)] = []
  /// The number of fields that are read.
  private static let most = 64

  init() {}

  init(_ fields: KeyValuePairs<String, String>) {
    for (name, value) in fields { pairs.append((name, value)) }
  }

  /// Reads `a=b&c=d`, percent-encoded, with plus signs for spaces.
  init(encoded text: some StringProtocol) {
    for pair in text.split(separator: "&").prefix(Self.most) {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      pairs.append((Self.decoded(parts[0]), parts.count > 1 ? Self.decoded(parts[1]) : ""))
    }
  }

  /// The first value of this name that is not empty.
  subscript(name: String) -> String? { pairs.first { $0.name == name && !$0.value.isEmpty }?.value }

  func number(_ name: String) -> Int64? { self[name].flatMap { Int64($0) } }

  private static func decoded(_ text: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "+") {
        bytes.append(0x20)
      } else if byte == UInt8(ascii: "%"), rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
        rest.first != UInt8(ascii: "+")
      {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
#endif
