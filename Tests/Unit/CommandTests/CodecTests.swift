import Foundation
import Qudo
import QudoSQLite
import Testing

/// Jobs that the command enqueues, in typed handlers, and the other way round.
@Suite(.waitsForProcesses) struct CodecTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// As in the help of `qudo enqueue`.
  struct SendMail: Job, Equatable {
    static let kind: Kind = "mail.send"
    var to: String
    func perform(_ context: JobContext) async throws {}
  }

  /// What typed handlers of a queue made of the jobs that wait.
  private func performed(_ codecs: Codecs = Codecs()) async throws -> [SendMail] {
    let queue = Queue(try SQLiteDriver(path: place.path("qudo.db")), codecs: codecs)
    let done = Locked<[SendMail]>([])
    let worker = try Worker(
      queue, handlers: [JobHandler(SendMail.self) { job, _ in done.withLock { $0.append(job) } }],
      concurrency: 1)
    try await worker.workUntilEmpty()
    await queue.close()
    return done.withLock { $0 }
  }

  @Test(
    "a typed handler performs the job of the help's example",
    arguments: [[], ["--codec", "json"], ["--codec", "raw"]])
  func helpsExample(codec: [String]) async throws {
    let enqueued = try place.qudo(
      ["enqueue", "mail.send", #"{"to":"ada@example.org"}"#] + codec, input: Data())
    #expect(enqueued.status == 0)
    #expect(try await performed() == [SendMail(to: "ada@example.org")])
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }

  @Test("a typed handler performs lines of JSON") func lines() async throws {
    try place.qudo("enqueue", "mail.send", "--lines", input: "{\"to\":\"a\"}\n{\"to\":\"b\"}\n")
    #expect(try await performed() == [SendMail(to: "a"), SendMail(to: "b")])
  }

  @Test("raw bytes are decoded with the queue's first codec, JSON with JSON") func otherCodec() async throws {
    let queue = Queue(try SQLiteDriver(path: place.path("qudo.db")))
    let bytes = try PropertyListCodec().encode(SendMail(to: "list"), of: SendMail.kind)
    try await queue.enqueue(NewJob(SendMail.kind, payload: Payload(bytes)))
    await queue.close()
    try place.qudo("enqueue", "mail.send", #"{"to":"json"}"#)
    #expect(try await performed(Codecs(PropertyListCodec())) == [SendMail(to: "list"), SendMail(to: "json")])
  }

  @Test("bytes that are not what the type expects say so") func notDecodable() async throws {
    try place.qudo("enqueue", "mail.send", "ada")
    #expect(try await performed() == [])
    let message = try #require(try place.qudo("failures", "--json").objects().first?["message"] as? String)
    #expect(
      message.hasPrefix(
        "the payload, which was enqueued as bytes, is not JSON for SendMail: byte 0: expected a value"))
  }

  @Test("a command gets the payload of a typed producer") func typedProducer() async throws {
    let queue = Queue(try SQLiteDriver(path: place.path("qudo.db")))
    try await queue.enqueue(SendMail(to: "ada"))
    await queue.close()
    #expect(
      try place.qudo("work", "mail.send=sh -c 'cat; echo \" $1\"' sh {}", "--until-empty").output
        == "{\"to\":\"ada\"} {\"to\":\"ada\"}\n")
  }

  @Test(
    "--codec json refuses what is not JSON, and says where",
    arguments: [["k", "{\"a\":}"], ["k"], ["k", "x"]])
  func notJSON(arguments: [String]) throws {
    let result = try place.qudo(["enqueue", "--codec", "json"] + arguments, input: Data())
    #expect(result.status == 64 && result.errors.contains("the payload is not JSON: at byte "))
    #expect(!place.exists("qudo.db"))
  }

  @Test("--codec json keeps the lines before the one that is not JSON") func notJSONLine() throws {
    let result = try place.qudo("enqueue", "k", "--lines", "--codec", "json", input: "1\n[2]\n3x\n4\n")
    #expect(result.status == 1 && result.output == "1\n2\n")
    #expect(
      result.errors
        == "qudo: line 3 is not JSON: at byte 1, bytes follow the JSON value; the lines before it are enqueued\n"
    )
  }
}
