import Evidence
import Foundation
import Testing

/// That the measurements run and are printed; what they measure is for a quiet machine.
@Suite(.waitsForProcesses) struct BenchTests {
  let work: CommandWorkspace
  init() throws { work = try CommandWorkspace() }

  @Test(.enabled(if: Evidence.isWhole, "measures for 20 s: set QUDO_CI=1 to run it"))
  func everyWorkloadIsMeasured() throws {
    let run = try work.qudo("bench", "--jobs", "1000", "--rounds", "1", "--durability", "off", "--json")
    #expect(run.status == 0, "\(run.errors)")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    let results = try #require(report["results"] as? [[String: Any]])
    let workloads = Set(
      results.compactMap {
        ($0["workload"] as? String)?.split { $0 == " " || $0 == "," }.first.map(String.init)
      })
    #expect(
      workloads == [
        "enqueue-one", "enqueue-many-callers", "enqueue-batch", "claim-settle-one", "drain",
        "drain-processes", "deep", "wake", "rescue", "crowd", "soak", "hooks", "control", "limits",
      ])
    for result in results {
      let rate = try #require(result["rate"] as? Double)
      #expect(result["unit"] as? String == "jobs/s" ? rate > 0 : rate >= 0, "\(result)")
      if result["floor"] as? Double != nil { #expect((result["ratio"] as? Double ?? 0) > 0, "\(result)") }
    }
  }

  @Test func aPersonReadsATable() throws {
    let run = try work.qudo(
      "bench", "enqueue-one", "hooks", "--jobs", "1000", "--rounds", "2", "--durability", "normal")
    #expect(run.status == 0)
    #expect(
      run.output.contains("enqueue-one") && run.output.contains("ratio at least 0.95")
        && run.output.contains("hooks unused points"))
    #expect(run.output.contains("of 1 targets met."))
  }

  @Test func absurdArgumentsAreRefused() throws {
    for arguments in [
      ["nonsense"], ["--rounds", "0"], ["--jobs", "5"], ["--durability", "maybe"], ["--database", "jobs.db"],
    ] {
      #expect(try work.qudo(["bench"] + arguments, input: Data()).status == 64)
    }
    let nowhere = try work.qudo("bench", "hooks", "--folder", "/nowhere/at/all")
    #expect(nowhere.status != 0 && nowhere.errors.contains("/nowhere/at/all"))
  }

  #if !MySQL
  @Test func aServerNeedsABuildForServers() throws {
    let run = try work.qudo("bench", "--database", "mysql://qudo:secret@127.0.0.1:1/none")
    #expect(run.status == 64 && run.errors.contains("--traits MySQL") && !run.errors.contains("secret"))
  }
  #endif
}
