import Qudo
import Testing

struct CodecIDTests {
  @Test func aWrappedCodecHasAnIDOfItsOwn() {
    let once = CodecID.wrapping(16, as: .json)
    let twice = CodecID.wrapping(17, as: once)
    #expect(Set([.json, once, twice, .wrapping(16, as: .raw), .wrapping(16, as: .messagePack), .wrapping(17, as: .json)]).count == 6)
    #expect("\(CodecID.json) \(once) \(twice) \(CodecID(-1))" == "1 16/1 17/16/1 -1")
  }
}
