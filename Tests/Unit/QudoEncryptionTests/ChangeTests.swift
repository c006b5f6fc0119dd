#if Encryption && Compression
import Foundation
import Qudo
import QudoCompression
import QudoEncryption
import QudoMessagePack
import QudoSQLite
import QudoTesting
import Testing

/// A queue whose codec changes while jobs wait.
struct ChangeTests {
  struct Mail: Job {
    static let kind: Kind = "mail"
    var to: String
    var body = String(repeating: "dear ", count: 1000)
    func perform(_ context: JobContext) async throws {}
  }

  private typealias Whole = EncryptedCodec<CompressedCodec<MessagePackCodec>>

  @Test("Old payloads stay readable at every change of the default codec")
  func oldPayloadsStayReadable() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-change-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let driver = try SQLiteDriver(path: folder.appendingPathComponent("q.db").path)
    try await change(driver)
    await driver.close()
  }

  @Test func inMemoryToo() async throws { try await change(MemoryDriver()) }

  private func change(_ driver: any LogDriver) async throws {
    let (first, second) = (SecretKey.random(), SecretKey.random())
    let one = Whole(CompressedCodec(MessagePackCodec()), keys: try KeyRing(current: 1, keys: [1: first]))
    let two = Whole(
      CompressedCodec(MessagePackCodec()), keys: try KeyRing(current: 2, keys: [1: first, 2: second]))
    let stages: [Codecs] = [
      Codecs(), Codecs(PropertyListCodec()), Codecs(MessagePackCodec()), Codecs(CompressedCodec(JSONCodec())),
      Codecs(one), Codecs(two),
    ]
    for (number, codecs) in stages.enumerated() {
      try await Queue(driver, codecs: codecs).enqueue(Mail(to: "\(number)"))
    }
    let stored = try await driver.jobs(matching: JobQuery()).map(\.payload)
    #expect(stored.map { "\($0.codec)" } == ["1", "2", "3", "16/1", "17/16/3", "17/16/3"])
    #expect(stored.dropFirst(3).allSatisfy { $0.bytes.count < 200 })

    let others: [any Codec] = [PropertyListCodec(), MessagePackCodec(), CompressedCodec(JSONCodec())]
    let seen = Locked<[String]>([])
    let handler = JobHandler(Mail.self) { mail, _ in seen.withLock { $0.append(mail.to) } }
    let queue = Queue(driver, codecs: Codecs(two, others: others))
    let summary = try await Worker(queue, handlers: [handler]).workUntilEmpty()
    #expect(summary.completed == 6 && summary.failed == 0)
    #expect(seen.withLock { $0 } == ["0", "1", "2", "3", "4", "5"])
  }

  @Test("A payload whose key or codec the queue lacks fails its run, and the error says which")
  func missingKeyOrCodecFailsTheRun() async throws {
    let driver = MemoryDriver()
    let keys = [UInt32(1): SecretKey.random(), 2: SecretKey.random()]
    let one = Whole(CompressedCodec(MessagePackCodec()), keys: try KeyRing(current: 1, keys: keys))
    try await Queue(driver, codecs: Codecs(one)).enqueue(Mail(to: "a"))
    try await Queue(driver, codecs: Codecs(MessagePackCodec())).enqueue(Mail(to: "b"))
    let two = Whole(
      CompressedCodec(MessagePackCodec()), keys: try KeyRing(current: 2, keys: keys.filter { $0.key == 2 }))
    let summary = try await Worker(Queue(driver, codecs: Codecs(two)), handlers: [JobHandler(Mail.self)])
      .workUntilEmpty()
    #expect(summary.failed == 2)
    let failures = try await driver.failures(LogQuery(oldestFirst: true)).map(\.message)
    #expect(
      failures == [
        "the payload is not encrypted compressed MessagePack for Mail: it was encrypted with key 1, which the key ring does not have",
        "the queue has no codec 3 for the payload: add it to its codecs",
      ])
  }
}
#endif
