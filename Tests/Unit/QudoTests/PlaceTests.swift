import Qudo
import Testing

/// What a payload that does not decode says of the place.
struct PlaceTests {
  struct Order: Codable {
    var item: String
    var parts: [Part]?
    struct Part: Codable { var count: UInt8 }
  }

  private func message(_ text: String, _ codec: any Codec = JSONCodec()) -> String {
    message(Array(text.utf8), codec)
  }

  private func message(_ bytes: [UInt8], _ codec: any Codec) -> String {
    do {
      _ = try Codecs(codec).decode(Order.self, from: Payload(bytes, codec: codec.id), of: "a")
      return "decoded"
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: [
    (#"{"item":"a","parts":[{"count":1},{"count":"x"}]}"#, "at parts.[1].count, byte 42: "),
    (#" { "item" : 5 }"#, "at item, byte 12: "),
    (#"{"parts":[]}"#, "byte 0: "),
    (#"{"p\u0061rts":[{"item":1}],"item":""}"#, "at parts.[0], byte 15: "),
    ("", "byte 0: the JSON ends, expected a value"),
    ("{", "byte 1: the JSON ends, expected a string"),
    (#"{"item":"a"} x"#, "byte 13: bytes follow the JSON value"),
    (#"{"item":"a","parts":[1,2}"#, "byte 24: expected a comma or ]"),
    (#"{"item":tru}"#, "byte 11: expected true"),
    (#"{"item":"\x"}"#, "byte 10: expected an escape"),
    (#"{"item":"\u12g4"}"#, "byte 13: expected a hexadecimal digit"),
    (#"{"item" "a"}"#, "byte 8: expected a colon"),
    (#"{"item":"abc"#, "byte 12: the JSON ends, expected the end of a string"),
    (String(repeating: "[", count: 600), "byte 512: lists are nested deeper than 512"),
  ]) func anErrorOfJSONNamesTheByte(text: String, place: String) {
    #expect(message(text).hasPrefix("the payload is not JSON for Order: " + place))
  }

  @Test func aByteThatIsNotUTF8IsFound() {
    let bytes = Array(#"{"item":"é"#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)
    #expect(
      message(bytes, JSONCodec()).hasPrefix(
        "the payload is not JSON for Order: byte 11: a string is not UTF-8"))
  }

  @Test func aPropertyListThatIsNoneSaysSo() {
    let codec = PropertyListCodec()
    #expect(
      message("bplist", codec)
        == "the payload is not a property list for Order: byte 6: a binary property list begins with bplist00"
    )
    #expect(message("bplist00", codec).hasPrefix("the payload is not a property list for Order: "))
    #expect(message("{}", codec).contains("byte 0: "))
  }
}
