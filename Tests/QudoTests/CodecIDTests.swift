import Qudo
import Testing

struct CodecIDTests {
  @Test func aWrappedCodecHasAnIDOfItsOwn() {
    let once = CodecID.wrapped(16, .json)
    let twice = CodecID.wrapped(17, once)
    #expect(Set([.json, once, twice, .wrapped(16, .raw), .wrapped(16, .messagePack), .wrapped(17, .json)]).count == 6)
    #expect("\(CodecID.json) \(once) \(twice) \(CodecID(-1))" == "1 16/1 17/16/1 -1")
  }
}
