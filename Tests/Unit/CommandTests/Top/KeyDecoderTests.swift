@testable import QudoCommand
import Testing

@Suite struct KeyDecoderTests {
  private func keys(_ text: String) -> [Key] {
    var decoder = KeyDecoder()
    return decoder.decode(Array(text.utf8)) + decoder.flush()
  }

  @Test("letters, controls and the keys that have a byte") func plain() {
    #expect(
      keys("jK/é字") == [.character("j"), .character("K"), .character("/"), .character("é"), .character("字")])
    #expect(keys("\r\n\t\u{7F}\u{8}") == [.enter, .enter, .tab, .backspace, .backspace])
    #expect(keys("\u{3}\u{1A}\u{C}") == [.control("c"), .control("z"), .control("l")])
  }

  @Test(
    "escape sequences of several terminals",
    arguments: [
      ("\u{1B}[A", Key.up), ("\u{1B}OA", .up), ("\u{1B}[1;5B", .down), ("\u{1B}[C", .right),
      ("\u{1B}OD", .left),
      ("\u{1B}[H", .home), ("\u{1B}[1~", .home), ("\u{1B}[7~", .home), ("\u{1B}OF", .end),
      ("\u{1B}[4~", .end),
      ("\u{1B}[5~", .pageUp), ("\u{1B}[6;2~", .pageDown), ("\u{1B}[3~", .delete), ("\u{1B}[Z", .backTab),
      ("\u{1B}OM", .enter),
    ])
  func sequences(text: String, key: Key) {
    #expect(keys(text) == [key])
    // Whatever the reads that it comes in.
    var decoder = KeyDecoder()
    var found: [Key] = []
    for byte in Array(text.utf8) {
      #expect(found.isEmpty)
      found += decoder.decode([byte])
    }
    #expect(found == [key] && !decoder.isPending)
  }

  @Test("Escape is a key when nothing follows, or no sequence") func escape() {
    var decoder = KeyDecoder()
    #expect(decoder.decode([0x1B]).isEmpty && decoder.isPending)
    #expect(decoder.flush() == [.escape] && !decoder.isPending)
    #expect(keys("\u{1B}q") == [.escape, .character("q")])
    #expect(keys("\u{1B}\u{1B}[A") == [.escape, .up])
    #expect(keys("\u{1B}[") == [.escape])
  }

  @Test("what means no key is ignored, up to its end") func unknown() {
    #expect(keys("\u{1B}[201~x\u{1B}[?1;2cy") == [.character("x"), .character("y")])
    #expect(keys("\u{1B}]11;rgb:0/0/0\u{7}a\u{1B}P1+r\u{1B}\\b") == [.character("a"), .character("b")])
    #expect(keys("\u{1B}[1\u{1B}[A") == [.up])
    #expect(keys("\u{1B}OPx") == [.character("x")])
  }

  @Test("what is pasted is text, and no keys, whatever the reads that it comes in") func paste() {
    let text = "a\u{1B}[200~q\r\u{3}y\u{1B}[A\u{1B}[201xé\u{7}\u{1B}[201~b"
    let expected: [Key] = [.character("a"), .paste("qy[A[201xé"), .character("b")]
    #expect(keys(text) == expected)
    for length in 1...9 {
      var decoder = KeyDecoder()
      var (found, rest) = ([Key](), Array(text.utf8)[...])
      while !rest.isEmpty {
        found += decoder.decode(rest.prefix(length))
        rest = rest.dropFirst(length)
      }
      #expect(found == expected && !decoder.isPending && decoder.patience == nil)
    }
  }

  @Test("a paste is bounded, and one without an end does not take keys for ever") func endlessPaste() {
    var decoder = KeyDecoder()
    #expect(decoder.patience == nil)
    #expect(decoder.decode([0x1B]).isEmpty && decoder.patience == 100)
    #expect(decoder.decode(Array("[200~".utf8)).isEmpty && decoder.patience == 1000)
    for _ in 0..<100 { #expect(decoder.decode([UInt8](repeating: 0x61, count: 1000)).isEmpty) }
    #expect(decoder.decode(Array("\u{1B}[2".utf8)).isEmpty && decoder.patience == 1000)
    #expect(decoder.flush() == [.paste(String(repeating: "a", count: 1024) + "[2")])
    #expect(decoder.patience == nil && decoder.decode([0x71]) == [.character("q")])
  }

  @Test("bytes that are no UTF-8 are dropped, and what follows is read") func invalid() {
    var decoder = KeyDecoder()
    #expect(decoder.decode([0xFF, 0x80, 0xC3, 0x61, 0xE5, 0xAD]) == [.character("a")])
    #expect(decoder.isPending)
    #expect(decoder.decode([0x97]) == [.character("字")])
    // A surrogate.
    #expect(decoder.decode([0xED, 0xA0, 0x80, 0x62]) == [.character("b")])
  }

  @Test("a sequence without an end does not grow") func endless() {
    var decoder = KeyDecoder()
    for _ in 0..<100 { #expect(decoder.decode([UInt8](repeating: 0x31, count: 10)).count == 10) }
    _ = decoder.decode([0x1B, UInt8(ascii: "[")])
    for _ in 0..<100 where decoder.isPending {
      #expect(decoder.decode([UInt8](repeating: 0x31, count: 10)).isEmpty)
    }
    #expect(!decoder.isPending)
  }

  @Test("no bytes trap, however they are cut", arguments: 0..<50) func random(seed: Int) {
    var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func next() -> UInt8 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return [0x1B, 0x5B, 0x4F, 0x41, 0x7E, 0xC3, 0xE5, 0x31][Int(state % 8)] ^ UInt8(state >> 61)
    }
    var decoder = KeyDecoder()
    for _ in 0..<200 { _ = decoder.decode((0..<Int(next() % 7)).map { _ in next() }) }
    _ = decoder.flush()
    #expect(decoder.decode([0x71]) == [.character("q")])
  }
}
