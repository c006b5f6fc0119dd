import Evidence
import Foundation
import Qudo
import QudoSQLite
import Testing

/// `qudo cancel`, `pause`, `resume`, `pauses` and `prune`, with a worker in a separate process.
@Suite(.waitsForProcesses) struct ControlCommandTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test("a cancelled job's command and its children are stopped") func stops() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "--lines", input: "1\n2\n")
    let command = "p=sh -c 'echo $$ >> pids; exec 3>started; sleep 300 & echo up >&3; wait'"
    let worker = try place.start("work", command, "--lease", "1h", "--until-empty", "--verbose")
    #expect(try started.line() == "up")
    let cancel = try place.qudo("cancel", "1", "2", "--reason", "wrong")
    #expect(cancel.output == "1 cancelling\n2 cancelled\n" && cancel.status == 0)
    #expect(try worker.end() == 0)
    // The command and its child have closed it.
    #expect(try started.rest() == "")
    let failures = try place.qudo("failures", "--json").objects()
    #expect(failures.map { $0["reason"] as? String } == ["cancelled", "cancelled"])
    #expect(failures.map { $0["message"] as? String } == ["wrong", "wrong"])
    #expect(Set(failures.map { $0["payload"] as? String }) == ["1", "2"])
    #expect(try place.qudo("count").output == "")
    #expect(try place.qudo("replay", "1").output == "3\n")
  }

  @Test("cancels by kind and state, and says before what it would cancel") func bulk() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "b", "x", "--delay", "1h")
    let dry = try place.qudo("cancel", "--kind", "a", "--dry-run", "--json").objects()
    #expect(dry.map { $0["result"] as? String } == ["cancelled", "cancelled", "cancelled"])
    #expect(try place.qudo("cancel", "--all", "--dry-run").output == "4 0\n")
    #expect(try place.qudo("count", "--json").objects().count == 2)
    #expect(try place.qudo("cancel", "--kind", "a", "--state", "delayed").output == "0 0\n")
    #expect(try place.qudo("cancel", "--kind", "a", "--state", "ready").output == "3 0\n")
    let json = try place.qudo("cancel", "--state", "delayed", "--json").objects()
    #expect(json.map { $0["id"] as? Int } == [4] && json.first?["database"] as? String == "qudo")
    #expect(try place.qudo("cancel", "--all", "--json").output == "[]\n")
    let unknown = try place.qudo("cancel", "1", "99", "--json")
    #expect(unknown.status == 1 && unknown.errors.contains("no unfinished job 99"))
    #expect(try unknown.objects().map { $0["result"] as? String } == ["notFound", "notFound"])
  }

  @Test("a job that still waits at its expiry goes to the failure log") func expires() throws {
    try place.qudo("enqueue", "a", "late", "--expires", "2020-01-02T03:04:05Z")
    try place.qudo("enqueue", "a", "early", "--expires", "1h")
    #expect(try place.qudo("show", "1").output.contains("\nexpires "))
    #expect(
      try place.qudo("jobs", "--json").objects().first?["expiresAt"] as? String == "2020-01-02T03:04:05.000Z")
    try place.qudo("enqueue", "a", "changed", "--expires", "2020-01-02T03:04:05Z")
    #expect(try place.qudo("change", "3", "--expires", "never").output == "3 changed\n")
    let work = try place.qudo("work", "a=cat", "--until-empty", "--concurrency", "1")
    #expect(work.output == "earlychanged" && work.status == 0)
    #expect(work.errors.contains("completed 2, failed 0, retried 0, expired 1"))
    #expect(try place.qudo("show", "1", "--json").objects().first?["state"] as? String == "expired")
    #expect(try place.qudo("failures", "--reason", "expired", "--json").objects().count == 1)
    #expect(try place.qudo("replay", "1").output == "4\n")
    #expect(try place.qudo("work", "a=cat", "--until-empty").output == "late")
    for wrong in ["soon", "0s", "-1h", ""] {
      #expect(try place.qudo("enqueue", "a", "x", "--expires=\(wrong)").status == 64)
    }
    let never = try place.qudo("enqueue", "a", "x", "--delay", "2h", "--expires", "1h")
    #expect(never.status == 64 && never.errors.contains("expires before it is due"))
  }

  @Test("a kind that is full refuses jobs, or drops the oldest ones") func maxWaiting() throws {
    let two = ["--max-waiting", "2"]
    #expect(try place.qudo(["enqueue", "a", "--lines"] + two, input: Data("1\n2\n".utf8)).output == "1\n2\n")
    let full = try place.qudo(["enqueue", "a", "3", "--json"] + two, input: Data())
    #expect(full.status == 75 && full.output == "")
    #expect(
      full.errors == """
        qudo: more than 2 jobs of kind a would wait, which is their maximum, and nothing was enqueued: try again when workers \
        have run some, or raise the maximum\n
        """)
    #expect(
      try place.qudo(["enqueue", "a", "3", "--when-full", "drop-oldest", "--json"] + two, input: Data())
        .status == 0)
    #expect(
      try place.qudo("failures", "--reason", "dropped", "--json").objects().map { $0["job"] as? Int } == [1])
    #expect(try place.qudo("show", "1", "--json").objects().first?["state"] as? String == "dropped")
    let lines = try place.qudo(["enqueue", "b", "--lines"] + two, input: Data("1\n2\n3\n".utf8))
    #expect(lines.status == 75 && lines.output == "" && lines.errors.contains("nothing was enqueued"))
    #expect(try place.qudo(["enqueue", "b", "x", "--unique-key", "k"] + two, input: Data()).output == "4\n")
    #expect(try place.qudo("work", "a=cat", "--until-empty", "--concurrency", "1").output == "23")
    for wrong in ["0", "-1", "1000000001", "many"] {
      #expect(try place.qudo("enqueue", "a", "x", "--max-waiting=\(wrong)").status == 64)
    }
    #expect(try place.qudo("enqueue", "a", "x", "--when-full", "refuse").status == 64)
  }

  @Test("a failure that was dealt with is resolved, and is no longer open") func resolve() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n4\n")
    try place.qudo("work", "a=false", "--until-empty")
    func open() throws -> [Int] {
      try place.qudo("failures", "--open", "--json").objects().compactMap { $0["id"] as? Int }.sorted()
    }
    #expect(try place.qudo("resolve", "1", "2", "--dry-run").output == "1\n2\n")
    #expect(try open() == [1, 2, 3, 4])
    #expect(try place.qudo("resolve", "1", "2").output == "1\n2\n")
    #expect(try open() == [3, 4])
    let rows = try place.qudo("failures", "--json").objects()
    #expect(rows.map { $0["resolved"] as? Bool } == [false, false, true, true])
    #expect(rows.allSatisfy { $0["replayedAs"] is NSNull && $0["replayed"] as? Bool == false })
    #expect(try place.qudo("failures").output.contains(" resolved "))
    let again = try place.qudo("resolve", "2", "9", "3", "--json")
    #expect(
      try again.objects().map { $0["result"] as? String } == ["alreadyResolved", "notFound", "resolved"])
    #expect(again.status == 1 && again.errors.contains("failure 2 was already resolved"))
    let shown = try rows.map { row in
      try place.qudo("show", "\(row["job"] ?? 0)", "--json").objects().first?["resolved"] as? Bool
    }
    #expect(shown == [false, true, true, true])
    #expect(try place.qudo("resolve", "--all", "--kind", "a", "--dry-run").output == "4\n")
    #expect(try place.qudo("replay", "--all").output == "5\n")
    #expect(try place.qudo("resolve", "--all").output == "")
    #expect(try place.qudo("replay", "1", "--unique-key", "k").output == "6\n")
    #expect(try place.qudo("jobs", "--json").objects().contains { $0["uniqueKey"] as? String == "k" })
    #expect(try place.qudo("replay", "2", "--unique-key", "k").status == 1)
    #expect(try place.qudo("resolve").status == 64)
    #expect(try place.qudo("resolve", "1", "--reason", "failed").status == 64)
    #expect(try place.qudo("replay", "--all", "--unique-key", "k").status == 64)
  }

  @Test("a final failure enqueues a job of another kind, with the payload") func finalFailure() throws {
    try place.qudo("enqueue", "a", "x", "--priority", "3")
    let work = try place.qudo(
      "work", "a=sh -c 'echo no >&2; exit 1'", "b=cat", "--until-empty", "--on-final-failure", "b")
    #expect(work.output == "x" && work.status == 0)
    #expect(work.errors.contains("completed 1, failed 1"))
    #expect(try place.qudo("failures", "--json").objects().count == 1)
  }

  @Test("changes waiting jobs") func change() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "a", "later", "--delay", "1h")
    #expect(try place.qudo("change", "3", "--priority", "1").output == "3 changed\n")
    #expect(try place.qudo("change", "4", "--now", "--priority", "2").output == "4 changed\n")
    #expect(try place.qudo("change", "1", "--payload", "one").status == 0)
    try Data([0, 255]).write(to: URL(fileURLWithPath: place.path("bytes")))
    #expect(try place.qudo("change", "2", "--payload-file", "bytes", "--dry-run").output == "2 changed\n")
    #expect(try place.qudo("work", "a=cat", "--until-empty", "--concurrency", "1").output == "later3one2")
    try place.qudo("enqueue", "b", "--lines", "--delay", "1h", input: "1\n2\n")
    #expect(
      try place.qudo("change", "--kind", "b", "--payload", "[]", "--codec", "json", "--dry-run").output
        == "2 0\n")
    #expect(try place.qudo("change", "--kind", "b", "--payload", "[", "--codec", "json").status == 1)
    let bulk = try place.qudo("change", "--kind", "b", "--now", "--json").objects()
    #expect(bulk.map { $0["result"] as? String } == ["changed", "changed"])
    #expect(try place.qudo("work", "b=cat", "--until-empty", "--concurrency", "1").output == "12")
    let unknown = try place.qudo("change", "1", "--now")
    #expect(unknown.status == 1 && unknown.output == "" && unknown.errors.contains("no unfinished job 1"))
  }

  @Test(
    "a change to a past time counts as now, and jumps no queue",
    arguments: ["0001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"])
  func changeToPastTime(text: String) throws {
    try place.qudo("enqueue", "k", "first")
    try place.qudo("enqueue", "k", "second", "--delay", "1h")
    #expect(try place.qudo("change", "2", "--at", text).output == "2 changed\n")
    try place.qudo("enqueue", "k", "third")
    let job = try #require(try place.qudo("show", "2", "--json").objects().first)
    let (due, enqueued) = (job["dueAt"] as? String, job["enqueuedAt"] as? String)
    #expect(job["state"] as? String == "ready" && due ?? "" >= enqueued ?? "-")
    #expect(try place.qudo("work", "k=echo {}", "--until-empty").output == "first\nsecond\nthird\n")
  }

  @Test("frees a running job by force, and leaves it out of changes") func recover() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "1")
    let command = "p=sh -c 'exec 3>started; echo up >&3; exec sleep 300'"
    let worker = try place.start("work", command, "--lease", "3s", "--until-empty")
    #expect(try started.line() == "up")
    let running = try place.qudo("change", "1", "--priority", "1")
    #expect(running.status == 1 && running.output == "" && running.errors.contains("job 1 runs"))
    let row = try #require(try place.qudo("show", "1", "--json").objects().first)
    #expect(
      row["state"] as? String == "running" && row["startedAt"] is String && row["expiredLeases"] as? Int == 0)
    #expect(row["processID"] as? Int == Int(worker.id))
    try place.qudo("pause")
    try place.qudo("enqueue", "p", "2", "--delay", "1h")
    #expect(
      try place.qudo("recover", "--kind", "p", "--dry-run", "--json").objects().map { $0["id"] as? Int } == [
        1
      ])
    #expect(try place.qudo("recover", "--kind", "q").output == "0 0\n")
    #expect(try place.qudo("recover", "--state", "delayed").output == "0 0\n")
    #expect(try place.qudo("recover", "--kind", "p").output == "1 0\n")
    try place.qudo("cancel", "2")
    let again = try place.qudo("recover", "1", "9")
    #expect(again.status == 1 && again.output == "" && again.errors.contains("job 1 is not running"))
    // The worker hears of it at its next renewal, and stops the command.
    #expect(try started.rest() == "")
    try place.qudo("cancel", "1")
    try place.qudo("resume")
    #expect(try worker.end() == 0)
  }

  @Test("shows how jobs ended, and waits for that") func outcomes() throws {
    try place.qudo("enqueue", "a", "good")
    try place.qudo("enqueue", "a", "bad", "--unique-key", "k")
    try place.qudo("enqueue", "b", "plain")
    try place.qudo("enqueue", "c", "gone")
    #expect(try place.qudo("wait", "1", "--timeout", "10ms").status == 124)
    let wait = try place.start("wait", "1", "3", "2", "4")
    try place.qudo("cancel", "4", "--reason", "no need")
    try place.qudo("work", "b=cat", "--until-empty")
    try place.qudo(
      "work", "a=sh -c 'test \"$(cat)\" = good || { echo broke >&2; exit 1; }'", "--record", "--until-empty",
      "--max-retries", "1", "--retry-delay", "1ms")
    #expect(try wait.end() == 1)
    #expect(try wait.output.rest() == "1 completed\n3 ended\n2 failed\n4 cancelled\n")
    #expect(try place.qudo("wait", "1", "3").status == 0)
    let json = try place.qudo("wait", "4", "9", "--json")
    #expect(json.status == 1)
    #expect(try json.objects().map { $0["outcome"] as? String } == ["cancelled", "unknown"])
    #expect(try json.objects().first?["message"] as? String == "no need")

    let good = try #require(try place.qudo("show", "1", "--json").objects().first)
    #expect(
      good["state"] as? String == "completed" && good["payload"] as? String == "good"
        && good["endedAt"] is String)
    let bad = try #require(
      try place.qudo("show", "--kind", "a", "--unique-key", "k", "--json").objects().first)
    #expect(bad["id"] as? Int == 2 && bad["state"] as? String == "failed" && bad["attempt"] as? Int == 2)
    let text = try place.qudo("show", "2").output
    #expect(
      text.contains("state       failed") && text.contains("failed runs\n  attempt 1, ")
        && text.contains("broke"))
    #expect(try place.qudo("show", "2", "--payload").output == "bad")
    let plain = try place.qudo("show", "3")
    #expect(plain.status == 1 && plain.errors.contains("job 3 of qudo has ended, and no log says how"))
    #expect(try place.qudo("show", "99").errors.contains("job 99 of qudo never existed"))
    #expect(try place.qudo("show", "--kind", "a", "--unique-key", "none").status == 1)
  }

  @Test("finds, cancels and changes jobs by what is in them") func filters() throws {
    for (key, payload, priority) in [
      ("order-1", "ada@example.org", "5"), ("order-2", "bob", "0"), ("other", "ada", "-5"),
    ] {
      try place.qudo("enqueue", "mail", payload, "--unique-key", key, "--priority=\(priority)")
    }
    try place.qudo("enqueue", "mail", "later", "--at", "2036-03-01T06:00:00Z", "--concurrency-key", "k")
    func found(_ options: String...) throws -> [Int?] {
      try place.qudo(["jobs", "--json"] + options, input: Data()).objects().map { $0["id"] as? Int }
    }
    #expect(try found("--key-prefix", "order-") == [1, 2])
    #expect(try found("--concurrency-key", "k") == [4])
    #expect(try found("--contains", "ada") == [1, 3])
    #expect(try found("--min-priority", "0", "--contains", "ada") == [1])
    #expect(try found("--max-priority=-1") == [3])
    #expect(try found("--due-after", "2036-01-01T00:00:00Z") == [4])
    #expect(try found("--due-after", "2036-01-01T00:00:00Z", "--due-before", "2036-02-01T00:00:00Z") == [])
    #expect(try found("--older-than", "1h") == [] && found("--newer-than", "1h").count == 4)
    #expect(try place.qudo("change", "--key-prefix", "order-", "--priority", "9").output == "2 0\n")
    #expect(try found("--min-priority", "9") == [1, 2])
    #expect(try place.qudo("cancel", "--contains", "ada", "--dry-run").output == "2 0\n")
    #expect(try place.qudo("cancel", "--contains", "ada", "--reason", "no address").output == "2 0\n")
    #expect(try place.qudo("cancel", "--state", "delayed").output == "1 0\n")
    func failures(_ options: String...) throws -> [Int?] {
      try place.qudo(["failures", "--json"] + options, input: Data()).objects().map { $0["job"] as? Int }
    }
    #expect(try failures("--message", "address") == [3, 1])
    #expect(try failures("--reason", "cancelled", "--since", "1h", "--open").count == 3)
    #expect(try failures("--reason", "failed") == [])
    #expect(try place.qudo("replay", "--all", "--message", "address").output == "5\n6\n")
    #expect(try failures("--open") == [4])
    #expect(try place.qudo("replay", "--all", "--since", "1h", "--reason", "cancelled").output == "7\n")
    #expect(try place.qudo("replay", "--all").output == "")
    try place.qudo("cancel", "7")
    let failure = try #require(try place.qudo("failures", "--json").objects().first?["id"] as? Int)
    #expect(
      try place.qudo("replay", "\(failure)", "--payload", "corrected", "--priority", "3").output == "8\n")
    let row = try #require(try place.qudo("show", "8", "--json").objects().first)
    #expect(row["payload"] as? String == "corrected" && row["priority"] as? Int == 3)
  }

  @Test("stores metadata, and finds, changes and cancels jobs by it") func metadata() throws {
    try place.qudo("enqueue", "mail", "a", "--metadata", "tenant=acme", "--metadata", "note=x=y ")
    try place.qudo("enqueue", "mail", "--lines", "--metadata", "tenant=bolt", input: "b\nc\n")
    try place.qudo("enqueue", "mail", "d", "--metadata", "tenant=")
    func found(_ options: String...) throws -> [Int?] {
      try place.qudo(["jobs", "--json"] + options, input: Data()).objects().map { $0["id"] as? Int }
    }
    #expect(try found("--metadata", "tenant=acme") == [1] && found("--metadata", "tenant=bolt") == [2, 3])
    #expect(try found("--metadata", "tenant=acme", "--metadata", "note=x=y ") == [1])
    #expect(try found("--metadata", "tenant=") == [4] && found("--metadata", "tenant=ac") == [])
    let row = try #require(try place.qudo("jobs", "--json", "--limit", "1").objects().first)
    #expect(row["metadata"] as? [String: String] == ["tenant": "acme", "note": "x=y "])
    #expect(try place.qudo("show", "1").output.contains("metadata  tenant=acme\nmetadata  note=x=y \n"))
    #expect(
      try place.qudo("change", "--metadata", "tenant=bolt", "--set-metadata", "tenant=cord").output == "2 0\n"
    )
    #expect(try place.qudo("cancel", "--metadata", "tenant=cord", "--limit", "1").status == 64)
    #expect(try place.qudo("cancel", "--metadata", "tenant=cord").output == "2 0\n")
    #expect(try found() == [1, 4])
    for wrong in [["tenant"], ["=x"], ["a=1", "--metadata", "a=2"]] {
      let result = try place.qudo(["enqueue", "mail", "--metadata"] + wrong, input: Data())
      #expect(result.status == 64, "\(result)")
    }
    let big = "t=" + String(repeating: "m", count: 100_000)
    try place.qudo("enqueue", "mail", "--metadata", big)
    #expect(try place.qudo("jobs", "--metadata", big).errors.contains("the limit is 1024"))
  }

  @Test("a paused kind waits until it is resumed") func pauses() throws {
    try place.qudo("enqueue", "a", "1")
    try place.qudo("enqueue", "b", "2")
    #expect(try place.qudo("pause", "a", "--for", "1h", "--reason", "deploy\u{1b}[2J").status == 0)
    #expect(try place.qudo("work", "b=cat", "--until-empty").output == "2")
    let counts = try place.qudo("count", "--json").objects()
    #expect(counts.map { $0["paused"] as? Bool } == [true])
    #expect(
      try place.qudo("count").output
        == "KIND  READY  DELAYED  RUNNING\na         1        0        0  paused\n")
    let row = try #require(try place.qudo("pauses", "--json").objects().first)
    #expect(row["kind"] as? String == "a" && row["endsAt"] is String)
    let table = try place.qudo("pauses").output
    #expect(table.hasPrefix("KIND  SINCE") && !table.contains("\u{1b}"))
    #expect(try place.qudo("resume", "b").output == "")
    #expect(try place.qudo("resume").output.contains("deploy"))
    #expect(try place.qudo("work", "a=cat", "--until-empty").output == "1")
    try place.qudo("pause")
    #expect(try place.qudo("pauses", "--json").objects().first?["kind"] is NSNull)
    #expect(try place.qudo("resume", "--json").objects().count == 1)
    #expect(try place.qudo("pauses", "--json").output == "[]\n")
  }

  @Test("prunes the logs") func prune() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n4\n5\n")
    try place.qudo("cancel", "--all")
    #expect(try place.qudo("prune", "--older-than", "1h").output == "0\n")
    #expect(try place.qudo("prune", "--keep", "2").output == "3\n")
    #expect(try place.qudo("failures", "--json").objects().map { $0["payload"] as? String } == ["5", "4"])
    #expect(try place.qudo("prune", "--all").output == "2\n")
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }

  @Test(
    "refuses what makes no sense",
    arguments: Evidence.arguments([
      ["cancel"], ["cancel", "1", "--all"], ["cancel", "--all", "--kind", "a"], ["cancel", "x"],
      ["cancel", "--state", "none"], ["pause", "--for", "x"], ["prune"], ["prune", "--all", "--keep", "1"],
      ["prune", "--keep", "-1"], ["cancel", "1", "--reason", ""], ["pause", "a", "--for", "0s"],
      ["pause", ""], ["change"], ["change", "1"], ["change", "1", "--now", "--delay", "1s"],
      ["change", "1", "--all", "--now"], ["change", "1", "--priority", "2147483648"],
      ["change", "1", "--delay", "-1s"],
      ["change", "1", "--codec", "json"], ["change", "1", "--payload", "a", "--payload-file", "b"],
      ["recover"], ["recover", "1", "--all"],
      ["wait"], ["wait", "x"], ["show"], ["show", "1", "--unique-key", "k"], ["show", "--unique-key", "k"],
      ["show", "--kind", "a"], ["jobs", "--min-priority", "2", "--max-priority", "1"],
      ["jobs", "--state", "x"],
      ["jobs", "--older-than", "2h", "--newer-than", "1h"], ["cancel", "1", "--contains", "a"],
      ["cancel", "--all", "--key-prefix", "a"], ["jobs", "--contains", String(repeating: "x", count: 1025)],
      ["failures", "--reason", "x"], ["replay", "1", "--since", "1h"], ["cancel", "--contains", ""],
      ["cancel", "--key-prefix", ""], ["replay", "--all", "--message", ""],
      ["replay", "--all", "--payload", "x"],
      ["failures", "--message", String(repeating: "x", count: 1025)],
    ])) func wrongUsage(arguments: [String]) async throws
  {
    // Not with the command, of which each start takes a tenth of a second here.
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .normal)
    _ = try await driver.insert([NewJob("a", payload: Payload("1"))])
    let result = try place.qudo(arguments, input: Data())
    #expect(result.status == 64, "\(arguments): \(result.status) \(result.errors)")
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    await driver.close()
  }

  @Test(
    "needs a database that is there",
    arguments: [
      ["cancel", "1"], ["cancel", "--all"], ["pause"], ["resume"], ["pauses"], ["keys"],
      ["keys", "--all"],
      ["resume", "a", "--key", "k"], ["change", "1", "--now"],
      ["recover", "1"], ["recover", "--all"], ["wait", "1"], ["show", "1"],
    ])
  func noDatabase(arguments: [String]) throws {
    let result = try place.qudo(arguments, input: Data())
    #expect(result.status == 75, "\(arguments): \(result.errors)")
    #expect(!place.exists("qudo.db"))
  }
}
