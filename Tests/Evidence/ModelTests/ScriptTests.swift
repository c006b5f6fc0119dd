import Foundation
import QudoTesting
import Testing

/// What scripts are made of.
@Suite struct ScriptTests {
  private let script = ModelScript((1...20).flatMap { ModelScript(seed: $0, count: 100).steps })

  @Test func aSeedIsAlwaysTheSameScript() {
    #expect(ModelScript(seed: 5, count: 100) == ModelScript(seed: 5, count: 100))
    #expect(ModelScript(seed: 5, count: 100) != ModelScript(seed: 6, count: 100))
    #expect(script.steps.count == 2000)
  }

  @Test func textsAndBytesAreReadAsTheScriptThatTheyAreOf() throws {
    #expect(ModelScript(bytes: script.bytes) == script)
    let read = try ModelScript(parsing: "# comment\n\n\(script)")
    #expect(read.description == script.description)
    #expect(ModelScript(bytes: read.bytes) == read)
    #expect(throws: ConformanceFailure.self) { try ModelScript(parsing: "job\nwork") }
    #expect(throws: ConformanceFailure.self) { try ModelScript(parsing: "job key=k9") }
  }

  @Test func anyBytesAreAScript() {
    for seed in 0..<50 {
      let bytes = (0..<97).map { UInt8(truncatingIfNeeded: $0 * $0 &* (seed + 3) + $0) }
      let script = ModelScript(bytes: bytes)
      #expect(ModelScript(bytes: script.bytes) == script)
    }
  }

  @Test func shrinkingLeavesWhatMatters() async {
    let short = await script.shrunk { script in
      let lines = script.description.split(separator: "\n")
      guard let reboot = lines.firstIndex(of: "reboot") else { return false }
      return lines[reboot...].contains { $0.hasPrefix("claim") && $0.contains("limit=5") }
    }
    #expect(short.description == "reboot\nclaim limit=5\n")
  }

  /// Those that fuzzing begins with.
  @Test func theCorpusHasEveryVerb() throws {
    let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../Fuzz/Corpus/FuzzModel")
      .standardized
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    let scripts = try files.map { ModelScript(bytes: try Data(contentsOf: $0)) }
    func verbs(_ scripts: [ModelScript]) -> Set<String> {
      Set(scripts.flatMap(\.steps).map { String("\($0)".prefix { $0 != " " }) })
    }
    #expect(verbs(scripts) == verbs([script]))
  }
}
