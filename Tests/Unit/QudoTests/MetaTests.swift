import Qudo
import Testing

struct MetaTests {
  @Test func textsComeBackByName() {
    var meta: JobMetadata = ["a": "1", "": "empty name", "b": ""]
    #expect(meta["a"] == "1" && meta[""] == "empty name" && meta["b"] == "" && meta["c"] == nil)
    meta["a"] = "zwölf"
    meta["b"] = nil
    #expect(meta["a"] == "zwölf" && meta["b"] == nil)
    #expect(meta.names == ["", "a"])
    #expect(JobMetadata(bytes: meta.bytes) == meta)
  }

  @Test func nothingTakesNoRoom() {
    var meta = JobMetadata()
    #expect(meta.bytes.isEmpty && meta["a"] == nil)
    meta["a"] = "1"
    meta["a"] = nil
    #expect(meta.bytes.isEmpty && meta.names.isEmpty)
  }

  @Test func itsBytesAreAsDocumented() {
    #expect((["ab": "c"] as JobMetadata).bytes == [1, 0, 0, 0, 2, 97, 98, 0, 0, 0, 1, 99])
  }

  @Test func namesAreComparedAsBytes() {
    let meta: JobMetadata = ["\u{E9}": "one scalar", "e\u{301}": "two"]
    #expect(meta["\u{E9}"] == "one scalar" && meta["e\u{301}"] == "two")
  }

  @Test func damagedBytesAreReadAsFarAsTheyGo() {
    let whole: JobMetadata = ["a": "1", "b": "2"]
    for length in whole.bytes.indices {
      let part = JobMetadata(bytes: Array(whole.bytes.prefix(length)))
      #expect(part["b"] == nil)
      #expect(part["a"] == (length >= 11 ? "1" : nil))
    }
    #expect(JobMetadata(bytes: [2] + whole.bytes.dropFirst())["a"] == nil)
    #expect(JobMetadata(bytes: [1, 255, 255, 255, 255, 97]).names.isEmpty)
  }

  @Test func textsAreNotShown() {
    #expect("\(["key": "secret"] as JobMetadata)" == #"["key"]"#)
  }
}
