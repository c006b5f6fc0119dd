import Qudo
import QudoMySQL

/// Whatever the text, the parser answers with a database that it reads from its own text again, or with a refusal;
/// and neither shows a password.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  do {
    let url = try DatabaseURL(parsing: text)
    let again = try? DatabaseURL(parsing: url.text)
    precondition(again == url, "\(url.text) is read as another one")
    if case .mysql(let server) = url.place { check(server, url.description) }
  } catch {
    precondition(error.code == .invalidArgument)
    precondition(!mayHavePassword(text) || !error.description.contains(between(text)), "repeated: \(error)")
  }
  return 0
}

private func check(_ server: DatabaseServer, _ shown: String) {
  guard let password = server.password else { return }
  var other = server
  other.password = "another"
  precondition(DatabaseURL(other).description == shown, "the description depends on the password")
  // Found where it is not shown, it is part of the rest as well.
  other.password = nil
  if password.utf8.count > 6, !other.description.contains(password) {
    precondition(!shown.contains(password), "shown: \(shown)")
  }
}

/// What looks like a password, be the rest as wrong as it may.
private func between(_ text: String) -> String {
  guard let at = text.lastIndex(of: "@"), let colon = text[..<at].lastIndex(of: ":") else { return "" }
  return String(text[colon..<at].dropFirst())
}

/// Whether it is long enough not to be a word of the message by chance.
private func mayHavePassword(_ text: String) -> Bool {
  between(text).utf8.count > 10 && !between(text).contains("mysql")
}

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
  _ count: UnsafePointer<CInt>, _ arguments: UnsafePointer<UnsafePointer<UnsafePointer<CChar>?>?>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable with its target's own entry, not with libFuzzer's `main`.
@_cdecl("FuzzDatabaseURL_main")
public func entry(_ count: CInt, _ arguments: UnsafePointer<UnsafePointer<CChar>?>?) -> CInt {
  withUnsafePointer(to: count) { count in withUnsafePointer(to: arguments) { runFuzzer(count, $0, fuzz) } }
}
