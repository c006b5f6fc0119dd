#if Encryption && Compression
import Qudo
import QudoCompression
import QudoEncryption
import QudoMessagePack
import QudoTesting
import Testing

/// What the article "Codecs" shows. `CodecArticleTests` of QudoSQLiteTests hold it against this file.
@Suite struct CodecArticleTests {
  struct SendMail: Job {
    static let kind: Kind = "mail.send"
    var to: [String]
    func perform(_ context: JobContext) async throws {}
  }

  let driver = MemoryDriver()
  let mail = SendMail(to: ["ada", "grace"])

  private func enqueued(with queue: Queue<NoHooks>) async throws -> String {
    try await queue.enqueue(mail)
    return try #require(try await driver.jobs(matching: JobQuery()).map { "\($0.payload.codec)" }.last)
  }

  private func message(_ payload: Payload, _ codecs: Codecs) -> String? {
    do {
      _ = try codecs.decode(SendMail.self, from: payload, of: SendMail.kind)
      return nil
    } catch { return "\(error)" }
  }

  @Test func aQueueTakesACodec() async throws {
    let queue = Queue(driver, codecs: Codecs(MessagePackCodec()))
    #expect(try await enqueued(with: queue) == "3")
  }

  @Test func codecsAreWrapped() async throws {
    let keys = try KeyRing(current: 1, keys: [1: .random()])
    let codec = EncryptedCodec(CompressedCodec(MessagePackCodec()), keys: keys)
    #expect(try await enqueued(with: Queue(driver, codecs: Codecs(codec))) == "17/16/3")
  }

  @Test func theOthersAreForWhatIsThere() throws {
    let codecs = Codecs(MessagePackCodec(), others: [PropertyListCodec()])
    for codec in [MessagePackCodec(), PropertyListCodec(), JSONCodec()] as [any Codec] {
      let payload = try Codecs(codec).encode(mail, of: SendMail.kind)
      #expect(try codecs.decode(SendMail.self, from: payload, of: SendMail.kind).to == mail.to)
    }
  }

  @Test func aSecretMakesAKeyRing() async throws {
    let secret = SecretKey.random().base64
    let keys = try KeyRing(current: 1, keys: [1: SecretKey(base64: secret)])
    let queue = Queue(driver, codecs: Codecs(EncryptedCodec(JSONCodec(), keys: keys)))
    #expect(try await enqueued(with: queue) == "17/1")
  }

  @Test func whileTheKeyChangesAllThatWaitsIsRead() throws {
    let (old, new) = (SecretKey.random(), SecretKey.random())
    let rings = [
      try KeyRing(current: 1, keys: [1: old]),
      try KeyRing(current: 1, keys: [1: old, 2: new]),
      try KeyRing(current: 2, keys: [1: old, 2: new]),
      try KeyRing(current: 2, keys: [2: new]),
    ].map { Codecs(EncryptedCodec(JSONCodec(), keys: $0)) }
    // Processes of one stage and the next are there at the same time.
    for (writer, reader) in [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 3), (3, 2)] {
      #expect(
        message(try rings[writer].encode(mail, of: SendMail.kind), rings[reader]) == nil,
        "stage \(writer) read in stage \(reader)")
    }
    #expect(message(try rings[0].encode(mail, of: SendMail.kind), rings[3]) != nil)
  }

  @Test func theMessagesSayWhichCodecAndWhere() throws {
    let json = Payload(Array(#"{"to":["adam",1]}"#.utf8), codec: .json)
    let packed = Payload(
      [0x81, 0xA2, 0x74, 0x6F, 0x92, 0xA1, 0x61, 0xA4, 0x61], codec: MessagePackCodec().id)
    let (first, second) = (
      EncryptedCodec(JSONCodec(), keys: try KeyRing(current: 1, keys: [1: .random()])), SecretKey.random()
    )
    let sealed = try Codecs(first).encode(mail, of: SendMail.kind)
    let later = EncryptedCodec(JSONCodec(), keys: try KeyRing(current: 2, keys: [2: second]))
    #expect(
      message(json, Codecs()) == """
        the payload is not JSON for SendMail: at to.[1], byte 14: Expected to decode String but found number instead.
        """)
    #expect(
      message(packed, Codecs(MessagePackCodec())) == """
        the payload is not MessagePack for SendMail: byte 7: the value has 5 bytes, but only 2 are left
        """)
    #expect(
      message(sealed, Codecs(later)) == """
        the payload is not encrypted JSON for SendMail: it was encrypted with key 1, which the key ring does not have
        """)
  }
}
#endif
