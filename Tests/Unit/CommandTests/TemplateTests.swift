import Qudo
import Testing

@testable import QudoCommand

/// How a command's text is split, and where the payload goes.
@Suite struct TemplateTests {
  private func filled(_ text: String, _ payload: String = "x") throws -> [String] {
    try CommandTemplate(text).filled(with: Array(payload.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(
    "what combines with the character before it hides nothing",
    arguments: [
      ("echo {}\u{301}", ["echo", "x\u{301}"]), ("echo '\u{301}a b'", ["echo", "\u{301}a b"]),
      ("echo 'a b'\u{301}c", ["echo", "a b\u{301}c"]),
      ("echo \u{301}a", ["echo", "\u{301}a"]), ("echo\r\n{}\r\n", ["echo", "x"]),
      ("a \\\u{301} b", ["a", "\u{301}", "b"]),
      ("echo {}{}-{ {}}", ["echo", "xx-{", "x}"]), ("echo \"\\a\\\"\\\\\"", ["echo", "\\a\"\\"]),
      ("a ''", ["a", ""]),
    ]) func scalars(text: String, words: [String]) throws
  {
    #expect(try filled(text).map { Array($0.utf8) } == words.map { Array($0.utf8) })
  }

  @Test("a message about a command has none of its control characters") func message() throws {
    let error = #expect(throws: QudoError.self) { try CommandTemplate("echo \u{1b}[2J'") }
    #expect(error?.message == #"the command 'echo \u{1b}[2J'' ends within a quote"#)
  }
}
