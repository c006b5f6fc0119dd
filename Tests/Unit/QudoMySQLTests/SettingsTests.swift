#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct SettingsTests {
  private func settings(_ options: String) throws -> Settings {
    guard case .mysql(let server) = try DatabaseURL(parsing: "mysql://u:p@Host/jobs?\(options)").place else {
      throw QudoError(.invalidArgument, "")
    }
    return try Settings(server)
  }

  @Test func optionsAreRead() throws {
    let found = try settings(
      "name=fleet&pool=7&connect-timeout=1500ms&read-timeout=2m&write-timeout=9&socket=/tmp/s")
    #expect(found.name == "fleet")
    #expect(found.pool == 7)
    #expect(
      [found.connectTimeout, found.readTimeout, found.writeTimeout] == [
        .milliseconds(1500), .seconds(120), .seconds(9),
      ])
    #expect(found.connectTimeout.wholeSecondsUp == 2)
    #expect(found.socket == "/tmp/s")
    #expect(found.tls == nil)
    #expect(try settings("pool=1").name == "host:3306/jobs")
  }

  @Test func whoAsksForTLSInAnyWayGetsIt() throws {
    #expect(try settings("tls=required").tls == Settings.TLS())
    #expect(try settings("tls-ca=/ca.pem").tls == Settings.TLS(authorities: "/ca.pem"))
    #expect(try settings("tls-cert=/c&tls-key=/k").tls == Settings.TLS(certificate: "/c", key: "/k"))
    #expect(try settings("tls=off").tls == nil)
  }

  @Test(arguments: [
    "ssl=true", "tls=yes", "tls=", "tls=off&tls-ca=/ca.pem", "tls-cert=/c", "pool=0", "pool=x",
    "read-timeout=0", "read-timeout=-1", "name=",
    "connect-timeout=soon", "Pool=3",
  ])
  func whatIsUnknownOrWrongIsRefused(_ options: String) {
    let error = #expect(throws: QudoError.self) { try settings(options) }
    #expect(error?.code == .invalidArgument)
    #expect(error.map { "\($0)".contains(":p@") } == false)
  }

  @Test func aFileIsNoServer() {
    let error = #expect(throws: QudoError.self) { try MySQLDriver(DatabaseURL(parsing: "jobs.db")) }
    #expect(error?.code == .invalidArgument)
  }

  @Test(
    "Servers that are too old are refused, and the error has their version",
    arguments: [
      ("10.11.6-MariaDB-0+deb12u1", true), ("10.6.0-MariaDB", true), ("10.5.27-MariaDB", false),
      ("5.5.5-10.11.6-MariaDB-log", true),
      ("5.5.5-10.5.1-MariaDB", false), ("11.4.2-MariaDB", true), ("8.0.11", true), ("8.4.0", true),
      ("9.1.0", true), ("5.7.44-log", false), ("", false),
    ])
  func tooOldServersAreRefused(_ version: String, isGood: Bool) {
    let facts = MySQLServerFacts(version: version, longestPacket: 0, losesOnPowerCut: [])
    guard !isGood else {
      #expect(throws: Never.self) { try facts.checkVersion() }
      return
    }
    let error = #expect(throws: QudoError.self) { try facts.checkVersion() }
    #expect(error?.code == .unsupportedDatabase)
    #expect(error?.message.contains(version) == true)
  }

  @Test func whatLosesOnAPowerCutIsKnown() {
    func losses(_ flush: Int64 = 1, _ doublewrite: String = "1", log: Bool = false, sync: Int64 = 0) -> Int {
      MySQLServerFacts.losesOnPowerCut(
        flush: flush, doublewrite: doublewrite, hasBinaryLog: log, syncBinaryLog: sync
      ).count
    }
    #expect([losses(), losses(3), losses(1, "ON"), losses(log: true, sync: 1)] == [0, 0, 0, 0])
    #expect(
      [losses(0), losses(2), losses(1, "OFF"), losses(log: true), losses(log: true, sync: 100)] == [
        1, 1, 1, 1, 1,
      ])
  }
}
#endif
