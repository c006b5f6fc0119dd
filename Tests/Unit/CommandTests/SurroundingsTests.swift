#if os(Linux)
import Foundation
import Testing

/// `qudo` where something that is usually there is not: in containers, under supervisors, on full disks.
@Suite(.waitsForProcesses) struct SurroundingsTests {
  let place: CommandWorkspace
  private let summary = "qudo: completed 1, failed 0, retried 0\n"

  init() throws { place = try CommandWorkspace() }

  /// In CI, a missing right is a failure.
  private static let mayUnshare = geteuid() == 0 && CommandWorkspace.canContain

  @Test("commands end well although the parent ignored SIGCHLD") func ignoredChildren() throws {
    try place.qudo("enqueue", "k", "x")
    let result = try place.shell(
      #"exec python3 -c 'import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])' "$qudo" work 'k=echo {}' --until-empty"#
    )
    #expect(result.status == 0 && result.output == "x\n" && result.errors == summary)
  }

  @Test("no folder for temporary files is needed") func noTemporaryFolder() throws {
    try place.qudo("enqueue", "k", "x")
    let result = try place.qudo(
      ["work", "k=sh -c 'cat; echo err >&2'", "--until-empty"], input: Data(),
      environment: ["TMPDIR": place.path("none")])
    #expect(result.status == 0 && result.output == "x" && result.errors == "err\n" + summary)
  }

  @Test("a full folder for temporary files fails no job", .enabled(if: mayUnshare)) func fullTemporaryFolder()
    throws
  {
    try CommandWorkspace.checkNamespaces()
    try place.qudo("enqueue", "k", "x")
    let result = try place.shell(
      #"mkdir t; unshare -m sh -c 'mount -t tmpfs -o size=64k none t && dd if=/dev/zero of=t/fill bs=1k count=100 2>/dev/null; TMPDIR=$PWD/t "$qudo" work "k=sh -c \"cat; echo err >&2\"" --until-empty'"#
    )
    #expect(result.status == 0 && result.output == "x" && result.errors == "err\n" + summary)
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }

  @Test("the environment reaches commands byte for byte") func environment() throws {
    try place.qudo("enqueue", "k")
    let result = try place.shell(
      #"A=$(printf '\377\376') B=$(printf 'e\314\201') "$qudo" work 'k=printenv A B QUDO_KIND' --until-empty"#
    )
    #expect(result.bytes == Data([0xFF, 0xFE, 10, 0x65, 0xCC, 0x81, 10, 0x6B, 10]))
    try place.qudo("enqueue", "k")
    #expect(try place.shell(#"env 1X=digit "$qudo" work 'k=printenv 1X' --until-empty"#).output == "digit\n")
  }

  @Test("without /proc, which the arguments are in, it fails and says so", .enabled(if: mayUnshare))
  func noProc() throws {
    try CommandWorkspace.checkNamespaces()
    let result = try place.shell(
      #"mkdir none; unshare -m sh -c 'mount --bind none /proc && "$qudo" enqueue k x'"#)
    #expect(
      result.status == 1 && result.output == ""
        && result.errors.hasPrefix("qudo: cannot read the arguments: /proc is missing. "))
  }

  @Test("a command that asks for the terminal finds none, and is not stopped") func noTerminal() throws {
    try place.qudo("enqueue", "k")
    // `script` gives the worker a terminal.
    let command = #"exec "$qudo" work 'k=sh -c "read x </dev/tty && echo read || echo none"' --until-empty"#
    try Data(command.utf8).write(to: URL(fileURLWithPath: place.path("run.sh")))
    let result = try place.shell(
      #"python3 -c 'import pty, sys; sys.exit(pty.spawn(["sh", "run.sh"]) >> 8)' </dev/null"#)
    #expect(result.status == 0 && result.output.contains("none"))
  }

  @Test("as process 1 it reaps what its commands left behind", .enabled(if: mayUnshare)) func reaps() throws {
    try CommandWorkspace.checkNamespaces()
    let (ended, go) = (try place.fifo("ended"), try place.fifo("go"))
    for _ in 1...20 { try place.qudo("enqueue", "k", "x") }
    let script = "k=sh -c \"(read x < go; exit 3) & (exit 4) & echo up > ended\""
    try Data(
      "exec unshare --pid --fork --mount-proc \"$qudo\" work '\(script)' q='ps -A -o stat=,args=' --concurrency 4\n"
        .utf8
    )
    .write(to: URL(fileURLWithPath: place.path("run.sh")))
    let result = try place.shell(
      """
      qudo="$qudo" sh run.sh > out 2> err & worker=$!
      for i in $(seq 20); do read x; done < ended
      for i in $(seq 20); do echo on; done > go
      for i in $(seq 6000); do
        test "$(ps -A -o ppid=,stat= | grep -c "^ *$(pgrep -P $(pgrep -P $worker || echo $worker) -x qudo | head -n 1) .*Z")" = 0 && break
        sleep 0.05
      done
      "$qudo" enqueue q > /dev/null
      for i in $(seq 6000); do test -s out && break; sleep 0.05; done
      kill $(pgrep -P $worker -x qudo || pgrep -P $(pgrep -P $worker) -x qudo)
      wait $worker; echo status $?; cat out err
      """)
    #expect(
      result.output.contains("status 0\n") && !result.output.contains("<defunct>")
        && result.output.contains("qudo work"))
    _ = (ended, go)
  }

  @Test("as process 1 the demo ends by SIGTERM", .enabled(if: mayUnshare)) func demoEnds() throws {
    try CommandWorkspace.checkNamespaces()
    let result = try place.shell(
      """
      mkdir tmp
      TMPDIR="$PWD/tmp" unshare --pid --fork "$qudo" demo --jobs 10000000 --durability off & outer=$!
      until test -e tmp/*/demo.db; do sleep 0.02; done
      kill -TERM $(pgrep -P $outer); wait $outer; echo $?; ls tmp
      """)
    #expect(result.output == "143\n")
  }

  @Test("too few threads are an error, not a wait", .enabled(if: mayUnshare)) func fewThreads() throws {
    try CommandWorkspace.checkNamespaces()
    // Of a user who has no other processes.
    let result = try place.shell(
      #"mkdir open; chmod 777 . open; setpriv --reuid 61234 --clear-groups prlimit --nproc=5 "$qudo" enqueue k --database open/q.db"#
    )
    #expect(
      result.status == 1 && result.output == "" && result.errors.contains("threads can be started")
        && result.errors.contains("ulimit -u"))
  }
}
#endif
