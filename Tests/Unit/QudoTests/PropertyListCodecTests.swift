import Foundation
import Qudo
import Testing

struct PropertyListCodecTests {
  struct Photo: Codable, Equatable {
    var name: String
    var taken: Date?
    var bytes: Data
    var sizes: [UInt64]
    var tags: [String: Double]
  }
  let codec = PropertyListCodec()

  @Test func whatIsEncodedIsDecoded() throws {
    let photo = Photo(
      name: "é", taken: Date(timeIntervalSince1970: 1.25), bytes: Data([0, 255]), sizes: [0, .max],
      tags: ["a": -0.5, "b": .infinity])
    let bytes = try codec.encode(photo, of: "a")
    #expect(bytes.starts(with: Array("bplist00".utf8)))
    #expect(try codec.decode(Photo.self, from: bytes, of: "a") == photo)
  }

  @Test func anotherTypeIsAnErrorWithItsPath() throws {
    let bytes = try codec.encode(["name": 5], of: "a")
    do {
      _ = try Codecs(codec).decode([String: String].self, from: Payload(bytes, codec: .propertyList), of: "a")
      Issue.record("decoded")
    } catch {
      #expect(
        "\(error)".hasPrefix("the payload is not a property list for Dictionary<String, String>: at name: "))
    }
  }

  @Test("Damaged bytes are an error or another value, and never a crash") func damagedBytesNeverCrash() throws
  {
    let photo = Photo(
      name: "lamp", taken: .distantPast, bytes: Data([1, 2, 3]), sizes: [1, 2], tags: ["a": 1])
    let bytes = try codec.encode(photo, of: "a")
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 0xFF
      _ = try? codec.decode(Photo.self, from: damaged, of: "a")
      #expect(throws: (any Error).self) {
        try codec.decode(Photo.self, from: Array(bytes[..<index]), of: "a")
      }
    }
  }

  @Test func aQueueWithItStillReadsJSON() throws {
    let old = try Codecs().encode(["a": 1], of: "k")
    let codecs = Codecs(PropertyListCodec())
    let new = try codecs.encode(["a": 1], of: "k")
    #expect(new.codec == .propertyList)
    #expect(
      try codecs.decode([String: Int].self, from: old, of: "k")
        == codecs.decode([String: Int].self, from: new, of: "k"))
  }
}
