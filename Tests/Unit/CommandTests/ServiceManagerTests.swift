import Foundation
import Testing

/// What `qudo work` tells a service manager, by sd_notify's protocol.
@Suite(.waitsForProcesses) struct ServiceManagerTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test("it is ready when it has looked for jobs, and says that it stops") func life() throws {
    let manager = try NotifySocket(place.path("notify"))
    let worker = try place.start("work", "b=true", "a=true", environment: ["NOTIFY_SOCKET": manager.name])
    #expect(try manager.next() == ["READY=1", "STATUS=looking for jobs of b, a"])
    worker.kill(SIGTERM)
    #expect(
      try manager.next() == [
        "STOPPING=1", "STATUS=stopping: running commands may finish within the grace period",
      ])
    #expect(try worker.end() == 0)
    #expect(manager.rest() == [])
  }

  @Test("work that ends by itself, too") func untilEmpty() throws {
    let manager = try NotifySocket("@qudo-test-\(UUID().uuidString)")
    let result = try place.qudo(
      "work", "a=true", "--until-empty", environment: ["NOTIFY_SOCKET": manager.name])
    #expect(result.status == 0 && result.errors == "qudo: completed 0, failed 0, retried 0\n")
    #expect(manager.rest().map(\.first) == ["READY=1", "STOPPING=1"])
  }

  @Test("commands do not speak in the worker's name") func environment() throws {
    let manager = try NotifySocket(place.path("notify"))
    try place.qudo("enqueue", "a", "1")
    let result = try place.qudo(
      "work", "a=sh -c 'echo [$NOTIFY_SOCKET] [$WATCHDOG_USEC] [$WATCHDOG_PID] [$OTHER]'", "--until-empty",
      environment: [
        "NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1", "OTHER": "stays",
      ])
    #expect(result.output == "[] [] [] [stays]\n")
  }

  @Test("the watchdog hears of it several times in its time, while it works and while it stops")
  func watchdog()
    throws
  {
    let (manager, started) = (try NotifySocket(place.path("notify")), try place.fifo("started"))
    let go = try place.fifo("go")
    try place.qudo("enqueue", "a", "1")
    let worker = try place.start(
      "work", "a=sh -c 'echo $$ >> pids; echo up > started; read x < go'",
      environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"])
    #expect(try started.line() == "up")
    for _ in 0..<3 { try manager.wait(for: "WATCHDOG=1") }
    worker.kill(SIGTERM)
    try manager.wait(for: "STOPPING=1")
    for _ in 0..<3 { try manager.wait(for: "WATCHDOG=1") }
    go.put("on\n")
    #expect(try worker.end() == 0)
  }

  @Test("a watchdog of another process hears nothing") func othersWatchdog() throws {
    let manager = try NotifySocket(place.path("notify"))
    _ = try place.qudo(
      "work", "a=true", "--until-empty",
      environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"])
    #expect(manager.rest().allSatisfy { !$0.contains("WATCHDOG=1") })
  }

  @Test(
    "a manager that is gone, or that it cannot reach, does not stop it",
    arguments: ["gone", "vsock:2:1", "/"])
  func unreachable(socket: String) throws {
    let name = socket == "gone" ? place.path("gone") : socket
    try place.qudo("enqueue", "a", "1")
    let result = try place.qudo("work", "a=echo {}", "--until-empty", environment: ["NOTIFY_SOCKET": name])
    #expect(result.status == 0 && result.output == "1\n" && result.errors.contains("service manager"))
  }
}
