import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// A plugin that is called like a function, as the original's code reference.
struct Printer: Plugin {
  let log: Log
  func callAsFunction(_ text: String) { log.add("printed \(text)") }
}

/// A plugin that is an object with options.
final class Store: Plugin {
  let log: Log
  let prefix: String
  init(log: Log, prefix: String = "stored") {
    self.log = log
    self.prefix = prefix
  }
  func store(_ text: String) { log.add("\(prefix) \(text)") }
}

@Suite("Perl: plugins by name, with options, callable from a job")
struct PluginParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  private func run(_ handler: JobHandler, _ plugins: any Plugin...) async throws {
    try await my.queue.enqueue(Note(text: "arg"))
    #expect(
      try await Worker(my.queue, handlers: [handler], plugins: plugins, options: my.options()).workOnce())
  }

  @Test func aPluginMayBeAFunction() async throws {
    try await run(
      JobHandler(Note.self, using: Printer.self) { note, _, print in print(note.text) }, Printer(log: log))
    #expect(log.entries == ["printed arg"])
  }

  @Test func aPluginMayBeAnObject() async throws {
    try await run(
      JobHandler(Note.self, using: Store.self) { note, _, store in store.store(note.text) }, Store(log: log))
    #expect(log.entries == ["stored arg"])
  }

  @Test func aPluginMayHaveOptions() async throws {
    try await run(
      JobHandler(Note.self, using: Store.self) { note, _, store in store.store(note.text) },
      Store(log: log, prefix: "bar"))
    #expect(log.entries == ["bar arg"])
  }

  @Test func aJobReachesPluginsThroughItsContext() async throws {
    let handler = JobHandler(Note.self) { note, context in
      context.plugin(Store.self)?.store(note.text)
      context.plugin(Printer.self)?(note.text)
    }
    try await run(handler, Printer(log: log), Store(log: log))
    #expect(log.entries == ["stored arg", "printed arg"])
  }
}
