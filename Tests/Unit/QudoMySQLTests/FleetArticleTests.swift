#if MySQL
import Foundation
import MariaDBServer
import Qudo
import QudoMySQL
import QudoSQLite
import Testing

private let done = Locked<[String]>([])

private struct Thumbnail: Job {
  static let kind: Kind = "thumbnail"
  var photo: Int

  func perform(_ context: JobContext) async throws {
    done.withLock { $0.append("\(context.database) \(photo)") }
  }
}

/// The example of "From one file to a fleet", step by step, and with the server down.
@Suite struct FleetArticleTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-fleet-\(UUID())")
  private var local: String { folder.appendingPathComponent("local.db").path }

  @Test func theStepsOfTheArticle() async throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let server = try await MariaDBServer.start()
    let fleet = server.url(try await server.makeDatabase(), options: "name=fleet")

    let queue = Queue(try SQLiteDriver(path: local))
    try await queue.enqueue(Thumbnail(photo: 1))
    await queue.close()

    var options = DatabaseOptions()
    options.order = .ordered
    // The machine may have much else to do.
    options.callTimeout = .seconds(120)
    let url = try DatabaseURL(parsing: fleet)
    let sources = [
      Databases.Source("fleet") { () async throws(QudoError) in try MySQLDriver(url) },
      Databases.Source("local") { () async throws(QudoError) in try SQLiteDriver(path: local) },
    ]
    let both = Queue(try Databases(sources, options: options))
    try await both.enqueue(Thumbnail(photo: 2))
    let worker = try Worker(both, handlers: [Thumbnail.self], concurrency: 4)
    try await worker.workUntilEmpty()
    #expect(done.withLock { $0.sorted() } == ["fleet 2", "local 1"])

    let elsewhere = Queue(try MySQLDriver(DatabaseURL(parsing: fleet)))
    try await both.enqueue(Thumbnail(photo: 3), idempotencyKey: IdempotencyKey("upload 3"))
    let again = try await both.enqueue(Thumbnail(photo: 3), idempotencyKey: IdempotencyKey("upload 3"))
    guard case .existing = again else { Issue.record("\(again)"); return }
    try await Worker(elsewhere, handlers: [JobHandler(Thumbnail.self)]).workUntilEmpty()
    #expect(done.withLock { $0.last } == "fleet 3")
    await elsewhere.close()

    server.kill()
    #expect(try await both.enqueue(Thumbnail(photo: 4)).id.database == "local")
    await both.close()
  }

  @Test func eachLineOfTheArticleIsRunHere() throws {
    let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    let article = try String(
      contentsOf: package.appendingPathComponent("Sources/Qudo/Qudo.docc/FromOneFileToAFleet.md"),
      encoding: .utf8)
    let test = try String(contentsOfFile: #filePath, encoding: .utf8)
    func trimmed(_ line: Substring) -> Substring { line.drop(while: \.isWhitespace) }
    let tested = Set(test.split(separator: "\n").map(trimmed))
    let lines = article.components(separatedBy: "```swift\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first
    }
    .flatMap { $0.split(separator: "\n") }.map(trimmed)
    #expect(lines.count > 12 && lines.filter { !tested.contains($0) } == [])
  }
}
#endif
