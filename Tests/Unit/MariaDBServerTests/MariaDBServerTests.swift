#if MySQL
import Foundation
import MariaDBServer
import ProcessSupport
import Testing

@Suite struct MariaDBServerTests {
  @Test("The shared server answers and has what was written down") func sharedServerAnswers() async throws {
    let server = try await MariaDBServer.shared()
    #expect(try await MariaDBServer.shared() === server)
    let name = try await server.makeDatabase()
    let rows = try await server.query(
      "CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 2), (3, 4); SELECT * FROM t", in: name)
    #expect(rows == ["1\t2", "3\t4"])
    #expect(server.url(name).hasPrefix("mysql://qudo:s3cret%2F%40%3A%25@127.0.0.1:\(server.port)/test"))
    let settings = try await server.query("SELECT @@innodb_flush_log_at_trx_commit, @@port")
    #expect(settings == ["1\t\(server.port)"])
  }

  @Test("the invariants name each broken rule") func invariants() async throws {
    let server = try await MariaDBServer.shared()
    let name = try await server.makeDatabase()
    try await server.query(
      """
      CREATE TABLE qudo_job(id INT, kind INT, ranking INT, due INT, unique_key VARBINARY(9), unique_scope INT, expires INT, concurrency_key VARBINARY(9));
      CREATE TABLE qudo_ready(id INT, kind INT, ranking INT, due INT, flags INT); CREATE TABLE qudo_delayed LIKE qudo_ready;
      CREATE TABLE qudo_running(id INT, kind INT, ranking INT, due INT, token INT); CREATE TABLE qudo_unique(kind INT, name VARBINARY(9), job INT);
      CREATE TABLE qudo_rest(job INT, throttle INT, ends INT);
      CREATE TABLE qudo_group(job INT, kind INT, ranking INT, grp VARBINARY(9), place INT, due INT);
      INSERT INTO qudo_unique VALUES(1, 'rests', 6); INSERT INTO qudo_rest VALUES(6, 9, 9);
      CREATE TABLE qudo_expiry(id INT, expires INT); INSERT INTO qudo_expiry VALUES(1, 7);
      CREATE TABLE qudo_held(kind INT, name VARBINARY(9), id INT);
      CREATE TABLE qudo_key(kind INT, name VARBINARY(9), allowed INT, admitted INT, held INT, stopped INT, rate VARBINARY(9));
      CREATE TABLE qudo_key_rate(kind INT, name VARBINARY(9), rate VARBINARY(9)); INSERT INTO qudo_key_rate VALUES(1, 'k', 'fast'), (1, 'o', NULL);
      CREATE TABLE qudo_stop(failure INT, kind INT, name VARBINARY(9)); INSERT INTO qudo_stop VALUES(1, 1, 's');
      INSERT INTO qudo_job VALUES(20, 1, 0, 5, NULL, NULL, NULL, 'k'), (21, 1, 0, 5, NULL, NULL, NULL, 'k');
      INSERT INTO qudo_running VALUES(20, 1, 0, 5, 4); INSERT INTO qudo_held VALUES(1, 'k', 21); INSERT INTO qudo_key VALUES(1, 'k', 1, 1, 1, 0, 'fast'), (1, 's', 1, 0, 0, 1, NULL);
      INSERT INTO qudo_job VALUES(1, 1, 0, 5, NULL, NULL, 7, NULL), (2, 1, 0, 5, 'k', 0, NULL, NULL); INSERT INTO qudo_ready VALUES(1, 1, 0, 5, 4);
      INSERT INTO qudo_running VALUES(2, 1, 0, 5, 0); INSERT INTO qudo_unique VALUES(1, 'k', 2);
      """, in: name)
    #expect(try await TableInvariants.violations(in: name, on: server) == [])
    try await server.query(
      """
      INSERT INTO qudo_job VALUES(3, 1, 0, 5, NULL, NULL, NULL, NULL), (4, 1, 0, 5, 'm', 0, NULL, NULL), (5, 1, 0, 5, NULL, NULL, 9, NULL);
      INSERT INTO qudo_job VALUES(22, 1, 0, 5, NULL, NULL, NULL, 'm'), (23, 1, 0, 5, NULL, NULL, NULL, 'o');
      INSERT INTO qudo_ready VALUES(22, 1, 0, 5, 0); INSERT INTO qudo_held VALUES(1, 'n', 23);
      INSERT INTO qudo_key VALUES(1, 'm', 1, 2, 0, 0, 'slow'), (1, 'n', 3, 0, 1, 0, NULL); INSERT INTO qudo_key_rate VALUES(1, 'o', 'fast'); UPDATE qudo_key_rate SET rate = 'slow' WHERE name = 'k'; INSERT INTO qudo_stop VALUES(2, 1, 's');
      INSERT INTO qudo_ready VALUES(5, 1, 0, 5, 4); INSERT INTO qudo_delayed VALUES(1, 1, 0, 5, 4), (4, 1, 0, 6, 0);
      INSERT INTO qudo_running VALUES(9, 1, 0, 5, 0); INSERT INTO qudo_unique VALUES(1, 'x', 8);
      INSERT INTO qudo_rest VALUES(5, 9, NULL), (7, 9, NULL);
      """, in: name)
    #expect(
      try await TableInvariants.violations(in: name, on: server) == [
        "a job is in no place 3", "an id is in several places 1 delayed,ready", "a row has no job 9 running",
        "a row differs from its job 4 delayed",
        "a unique key has no job 8 x", "a throttle has no job, or a rest no unique key 5 NULL",
        "a throttle has no job, or a rest no unique key 7 NULL",
        "a waiting job has a throttle that it does not know 5", "a job does not hold its unique key 4 m",
        "a waiting job does not expire 5", "a held row differs from its job 23 n",
        "the counts of a concurrency key are wrong 1 m 2 0 1 0",
        "the counts of a concurrency key are wrong 1 n 0 1 0 1",
        "the counts of a concurrency key are wrong 1 o 0 0 1 0", "a concurrency key has no job 1 n",
        "a job is held although its concurrency key has room 1 n 3 0 1",
        "the stops of a concurrency key are miscounted 1 s 1 2",
        "a concurrency key has another rate than its bucket 1 k fast,slow",
        "a concurrency key has another rate than its bucket 1 m slow",
        "a concurrency key has another rate than its bucket 1 o fast",
        "a row does not say that its job has a concurrency key 22",
      ])
  }

  @Test("Over TCP, only the user with the password can connect")
  func userNeedsThePasswordOverTCP() async throws {
    let server = try await MariaDBServer.shared()
    func connect(_ password: String) throws -> Int32? {
      let file = try FileHandle(forUpdating: URL(fileURLWithPath: "/dev/null"))
      defer { try? file.close() }
      let null = file.fileDescriptor
      return try ChildProcess(
        "/usr/bin/env",
        [
          "mariadb", "--no-defaults", "-h127.0.0.1", "-P\(server.port)", "-u\(server.user)", "-p\(password)",
          "-eSELECT 1",
        ],
        files: (null, null, null)
      ).end(within: 60)
    }
    #expect(try connect(server.password) == 0)
    #expect(try connect("wrong") == 1)
  }

  @Test("Committed rows survive a kill and a start with other options")
  func committedRowsSurviveAKill() async throws {
    let server = try await MariaDBServer.start()
    let name = try await server.makeDatabase()
    try await server.query("CREATE TABLE t (a INT); INSERT INTO t VALUES (7)", in: name)
    let port = server.port
    server.kill()
    #expect(!server.isRunning)
    try await server.start(["--read-only", "--max-allowed-packet=2M"])
    #expect(server.port == port)
    #expect(
      try await server.query("SELECT a, @@read_only, @@max_allowed_packet FROM t", in: name) == [
        "7\t1\t2097152"
      ])
    try await server.stop()
    #expect(!server.isRunning)
    try await server.start()
    #expect(try await server.query("SELECT a, @@read_only FROM t", in: name) == ["7\t0"])
  }

  @Test func aPausedServerAnswersWhenItIsResumed() async throws {
    let server = try await MariaDBServer.start()
    server.pause()
    let answer = Task { try await server.query("SELECT 1") }
    #expect(server.isRunning)
    server.resume()
    #expect(try await answer.value == ["1"])
  }

  @Test func aServerWithOptionsThatItRefusesSaysWhy() async throws {
    do {
      _ = try await MariaDBServer.start(["--no-such-option"])
      Issue.record("it started")
    } catch {
      #expect("\(error)".contains("no-such-option"))
    }
  }

  @Test func aServerWithCertificatesOffersTLS() async throws {
    let certificates = try await Certificates()
    let server = try await MariaDBServer.start(certificates.options)
    #expect(try await server.query("SELECT @@have_ssl") == ["YES"])
  }
}
#endif
