import Foundation
import Qudo
import QudoMessagePack
import QudoSQLite
import QudoTesting
import Testing

@Suite("Perl: serializers JSON, MessagePack, Storable")
struct CodecParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  private var reading: JobHandler { JobHandler(Note.self) { [log] note, _ in log.add(note.text) } }

  /// As an application writes its own.
  struct XMLPropertyList: Codec {
    var id: CodecID { CodecID(200) }
    var name: String { "XML" }
    func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
      let encoder = PropertyListEncoder()
      encoder.outputFormat = .xml
      return [UInt8](try encoder.encode(value))
    }
    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value {
      try PropertyListDecoder().decode(type, from: Data(bytes))
    }
  }

  @Test func aTypedJobIsJSON() async throws {
    let id = try await my.queue.enqueue(Note(text: "arg")).id
    #expect(try await my.queue.job(id)?.payload == Payload(Array(#"{"text":"arg"}"#.utf8), codec: .json))
    #expect(try await my.worker([reading]).workOnce())
    #expect(log.entries == ["arg"])
  }

  @Test func aTypedJobMayBeMessagePack() async throws {
    let queue = Queue(my.driver, codecs: Codecs(MessagePackCodec()))
    let id = try await queue.enqueue(Note(text: "arg")).id
    #expect(
      try await queue.job(id)?.payload
        == Payload([0x81, 0xA4] + "text".utf8 + [0xA3] + "arg".utf8, codec: .messagePack))
    #expect(try await Worker(queue, handlers: [reading], options: my.options()).workOnce())
    #expect(log.entries == ["arg"])
  }

  /// In place of Storable.
  @Test func aTypedJobMayBeAPropertyList() async throws {
    let queue = Queue(my.driver, codecs: Codecs(PropertyListCodec()))
    let id = try await queue.enqueue(Note(text: "arg")).id
    let payload = try #require(try await queue.job(id)?.payload)
    #expect(payload.codec == .propertyList && payload.bytes.starts(with: "bplist00".utf8))
    #expect(try await Worker(queue, handlers: [reading], options: my.options()).workOnce())
    #expect(log.entries == ["arg"])
  }

  @Test func theFailureLogHasItAsItIsStored() async throws {
    try await my.queue.enqueue(Note(text: "arg"))
    #expect(try await my.worker([JobHandler(Note.self) { _, _ in throw Broken() }]).workOnce())
    #expect(
      try await my.driver.failures(LogQuery()).map(\.payload) == [
        Payload(Array(#"{"text":"arg"}"#.utf8), codec: .json)
      ])
  }

  @Test func withoutACodecBytesStayAsTheyAre() async throws {
    let id = try await my.queue.enqueue(NewJob("a", payload: Payload([0, 255, 1]))).id
    #expect(try await my.queue.job(id)?.payload == Payload([0, 255, 1], codec: .raw))
  }

  @Test func codecsMayBeChangedWhileJobsWait() async throws {
    try await my.queue.enqueue(Note(text: "old"))
    let queue = Queue(my.driver, codecs: Codecs(XMLPropertyList()))
    let id = try await queue.enqueue(Note(text: "new")).id
    #expect(try await queue.job(id)?.payload.codec == CodecID(200))
    #expect(
      try await Worker(queue, handlers: [reading], options: my.options()).workUntilEmpty().completed == 2)
    #expect(log.entries == ["old", "new"])
  }

  @Test("A payload whose codec is missing fails, and the error has the codec's number")
  func missingCodecFailsWithItsNumber() async throws {
    try await Queue(my.driver, codecs: Codecs(XMLPropertyList())).enqueue(Note(text: "x"))
    #expect(try await my.worker([reading]).workUntilEmpty().failed == 1)
    #expect(try await my.driver.failures(LogQuery()).first?.message.contains("codec 200") == true)
  }
}
