import Qudo
import Testing

struct CodecIDTests {
  @Test func aWrappedCodecHasAnIDOfItsOwn() {
    let once = CodecID.wrapping(.json, as: 16)
    let twice = CodecID.wrapping(once, as: 17)
    #expect(
      Set([
        .json, once, twice, .wrapping(.raw, as: 16), .wrapping(.messagePack, as: 16),
        .wrapping(.json, as: 17),
      ]).count == 6)
    #expect("\(CodecID.json) \(once) \(twice) \(CodecID(-1))" == "1 16/1 17/16/1 -1")
  }
}
