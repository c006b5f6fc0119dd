#if Dashboard
import Foundation
import Hummingbird
import HTTPTypes
import Qudo
import QudoDashboard
import QudoTesting
import Testing

/// What the landing page shows.
@Suite struct ArticleTests {
  struct AdminsOnly<Context: RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response)
      async throws -> Response
    {
      try await next(request, context)
    }
  }

  let queue = Queue(MemoryDriver())

  @Test("its Swift is this") func swift() throws {
    do {
      let router = Router()
      let dashboard = Dashboard(queue)
      dashboard.addRoutes(to: router.group("queue").add(middleware: AdminsOnly()))
      let app = Application(router: router)
      _ = app
    }
    do {
      var options = DashboardOptions()
      options.allowsChanges = true
      options.title = "Jobs of the shop"
      let dashboard = Dashboard(queue, options: options)
      _ = dashboard
    }
    func lines(_ text: String) -> [String] {
      text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    let tested = Set(lines(try String(contentsOfFile: #filePath, encoding: .utf8)))
    let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    let article = try String(
      contentsOf: folder.appendingPathComponent("Sources/QudoDashboard/QudoDashboard.docc/QudoDashboard.md"),
      encoding: .utf8)
    let shown = article.components(separatedBy: "```swift\n").dropFirst().flatMap {
      lines($0.components(separatedBy: "\n```").first ?? "")
    }
    #expect(shown.count == 8)
    #expect(shown.filter { !tested.contains($0) } == [])
  }
}
#endif
