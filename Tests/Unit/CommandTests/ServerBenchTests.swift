#if MySQL
import Evidence
import Foundation
import MariaDBServer
import Testing

/// That a server is measured, in a database that is as empty afterwards as it was; what is measured is for a quiet machine.
@Suite(.waitsForProcesses) struct ServerBenchTests {
  let work: CommandWorkspace
  init() throws { work = try CommandWorkspace() }

  private func tables(_ server: MariaDBServer, _ database: String) async throws -> [String] {
    try await server.query("SHOW TABLES", in: database)
  }

  /// The lines of each workload.
  private static let lines: [[String]: [String]] = [
    ["enqueue-one", "enqueue-batch", "claim-settle-one"]: [
      "enqueue-one", "enqueue-one, round trips per enqueue", "enqueue-one, round trips per enqueue, mean",
      "enqueue-batch", "enqueue-batch, round trips per enqueue",
      "enqueue-batch, round trips per enqueue, mean",
      "claim-settle-one", "claim-settle-one, round trips per settle-and-claim",
      "claim-settle-one, round trips per settle-and-claim, mean",
      "claim-settle-batch", "claim-settle-batch, round trips per settle-and-claim",
      "claim-settle-batch, round trips per settle-and-claim, mean",
    ],
    ["drain", "drain-processes"]: ["drain", "drain-processes", "drain-processes, least share"],
    ["deep"]: [
      "deep 1,000 waiting, claim of 100", "deep 1,000 waiting, claim of one",
      "deep 1,000 delayed, claim of 100", "deep 1,000 delayed, claim of one",
      "deep 50 kinds, 1,000 waiting, claim of 100", "deep 50 kinds, 1,000 waiting, claim of one",
      "deep 1,000 gone under a snapshot, claim of 100", "deep 1,000 gone under a snapshot, claim of one",
      "deep 1,000 gone under a snapshot, slowest claim", "deep, a minute beside a snapshot, last 10 s",
    ],
  ]

  @Test(
    .enabled(if: Evidence.isWhole, "measures for 20 s: set QUDO_CI=1 to run it"), arguments: lines.keys)
  func theWorkloadsOfAServerAreMeasured(_ workloads: [String]) async throws {
    let server = try await MariaDBServer.shared()
    let database = try await server.makeDatabase()
    let run = try work.qudo(
      ["bench"] + workloads + [
        "--database", server.url(database), "--jobs", "200", "--rounds", "1", "--json",
      ], input: Data())
    #expect(run.status == 0, "\(run.errors)")
    #expect(try await tables(server, database) == [])
    let report = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    let settings = try #require(report["settings"] as? [String: Any])
    #expect(
      (settings["server"] as? String)?.contains("MariaDB") == true
        && settings["survivesPowerCut"] as? Bool == true)
    let results = try #require(report["results"] as? [[String: Any]])
    #expect(results.compactMap { $0["workload"] as? String } == Self.lines[workloads])
    for result in results {
      // A drain lasts for a tenth of a second here, in which a busy machine may end no job. That none is lost, the command
      // checks itself.
      let mayBeNothing = (result["workload"] as? String)?.hasPrefix("drain") == true
      #expect((result["rate"] as? Double ?? 0) > 0 || mayBeNothing, "\(result)")
      if result["ratio"] as? Double != nil, !mayBeNothing {
        #expect((result["floor"] as? Double ?? 0) > 0, "\(result)")
      }
      guard let name = result["workload"] as? String, name.contains("round trips"), !name.hasSuffix("mean")
      else { continue }
      // Counted, not timed: it is the same everywhere.
      #expect(
        result["rate"] as? Double == (name.hasPrefix("enqueue") ? 1 : 2) && result["met"] as? Bool == true,
        "\(result)")
    }
    #expect(!run.output.contains(server.password) && !run.errors.contains(server.password))
  }

  @Test func aDatabaseWithTablesOfQudoIsLeftAlone() async throws {
    let server = try await MariaDBServer.shared()
    let database = try await server.makeDatabase()
    let url = server.url(database)
    #expect(try work.qudo("enqueue", "k", "hello", "--call-timeout", "5m", "--database", url).status == 0)
    let before = try await tables(server, database)
    let run = try work.qudo("bench", "enqueue-one", "--database", url)
    #expect(
      run.status != 0 && run.errors.contains("qudo_") && run.errors.contains("Use a separate database"),
      "\(run.errors)")
    #expect(try await tables(server, database) == before)
    #expect(try work.qudo("work", "k=echo {}", "--until-empty", "--database", url).output == "hello\n")
  }

  @Test("Tables that a benchmark left are refused, and other tables stay")
  func leftBenchmarkTablesAreRefused() async throws {
    let server = try await MariaDBServer.shared()
    let database = try await server.makeDatabase()
    let bench = [
      "bench", "enqueue-one", "--database", server.url(database), "--jobs", "100", "--rounds", "1",
    ]
    try await server.query("CREATE TABLE qudobench_job(id INT); CREATE TABLE mine(id INT)", in: database)
    let refused = try work.qudo(bench, input: Data())
    #expect(refused.status != 0 && refused.errors.contains("qudobench_job"), "\(refused.errors)")
    #expect(try await tables(server, database) == ["mine", "qudobench_job"])
    try await server.query("DROP TABLE qudobench_job", in: database)
    let run = try work.qudo(bench, input: Data())
    #expect(
      run.status == 0 && run.output.contains("round trips per enqueue")
        && run.output.contains("The server is "), "\(run.errors)")
    #expect(try await tables(server, database) == ["mine"])
  }

  @Test func whatIsNotMeasuredOnServersIsRefused() throws {
    let url = "mysql://qudo@127.0.0.1:1/none"
    for arguments in [["soak"], ["--long"], ["--durability", "full"], ["--jobs", "5"]] {
      #expect(try work.qudo(["bench", "--database", url] + arguments, input: Data()).status == 64)
    }
    #expect(try work.qudo("bench", "--database", "jobs.db").status == 64)
    #expect(!work.exists("jobs.db"))
  }
}
#endif
