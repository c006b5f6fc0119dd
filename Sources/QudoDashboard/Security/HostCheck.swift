#if Dashboard
/// The names by which a browser may call the server.
///
/// A page of another site can let its own name lead to this machine (DNS rebinding), and would then be the same site for the browser.
/// It cannot do that with an address.
package struct HostCheck: Sendable {
  private let names: Set<String>
  private let acceptsAddresses: Bool

  /// - Parameters:
  ///   - address: The address that the server listens on.
  ///   - isLoopback: Whether only this machine can reach it. Then only the names of this machine for itself are accepted.
  ///   - names: Other names of the server.
  package init(address: String, isLoopback: Bool, names: [String] = []) {
    var all = Set(names.map { $0.lowercased() })
    all.insert(address.lowercased())
    all.insert("localhost")
    if isLoopback { all.formUnion(["127.0.0.1", "::1"]) }
    self.names = all
    acceptsAddresses = !isLoopback
  }

  /// Accepts these names only.
  init(names: Set<String>) {
    self.names = Set(names.map { $0.lowercased() })
    acceptsAddresses = false
  }

  /// Whether the header `Host` is one of the names, with any port: a tunnel may have another.
  func accepts(_ host: String?) -> Bool {
    guard let host, let name = Self.name(in: host) else { return false }
    return names.contains(name) || (acceptsAddresses && Self.isAddress(name))
  }

  /// Returns the name before the port, without the brackets of an IPv6 address.
  private static func name(in host: String) -> String? {
    let bytes = host.lowercased()
    if bytes.hasPrefix("[") {
      guard let end = bytes.firstIndex(of: "]") else { return nil }
      let rest = bytes[bytes.index(after: end)...]
      guard rest.isEmpty || isPort(rest) else { return nil }
      return String(bytes[bytes.index(after: bytes.startIndex)..<end])
    }
    guard let colon = bytes.firstIndex(of: ":") else { return bytes.isEmpty ? nil : bytes }
    guard isPort(bytes[colon...]) else { return nil }
    return String(bytes[..<colon])
  }

  private static func isPort(_ text: Substring) -> Bool {
    text.first == ":" && (2...6).contains(text.utf8.count)
      && text.utf8.dropFirst().allSatisfy { (48...57).contains($0) }
  }

  private static func isAddress(_ name: String) -> Bool {
    if name.contains(":") {
      return name.utf8.allSatisfy {
        (48...57).contains($0) || (97...102).contains($0) || $0 == 58 || $0 == 46
      }
    }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
  }
}
#endif
