/// Calls, and those before them that nothing happens to.
struct Scenario: Sendable, CustomStringConvertible {
  let name: String
  var start = Start.empty
  var before: [Step] = []
  let steps: [Step]
  var description: String { name }

  static let all = [
    Scenario(name: "enqueue", steps: [.enqueue(["a"]), .enqueue(["b"])]),
    Scenario(name: "enqueue a batch", steps: [.enqueue((1...12).map { "a\($0)" }), .enqueue(["b"])]),
    Scenario(
      name: "claim", before: [.enqueue(["a", "b", "c"])], steps: [.claim(1), .claim(1), .enqueue(["d"])]),
    Scenario(
      name: "settle", before: [.enqueue(["a", "b", "c", "d", "e"]), .claim(5)],
      steps: [
        .settle(["a": .completed(["r", "s"])]), .settle(["b": .retried]),
        .settle(["c": .failed, "d": .completed([])], claiming: 1),
        .settle(["e": .aborted]),
      ]),
    Scenario(
      name: "claim and settle in turn", before: [.enqueue(["a", "b", "c"])],
      steps: [
        .claim(1), .settle(["a": .completed(["r"])], claiming: 1), .extend("b"),
        .settle(["b": .completed([])]), .enqueue(["d"]),
      ]),
    Scenario(
      name: "logs", before: [.enqueue(["a", "b"]), .claim(2), .settle(["a": .failed, "b": .aborted])],
      steps: [.replay, .prune, .enqueue(["c"])]),
    Scenario(
      name: "cancel", before: [.enqueue((1...12).map { "a\($0)" }), .claim(2)],
      steps: [.cancelReady, .enqueue(["b", "c"]), .cancelReady, .settle(["a1": .failed])]),
    Scenario(
      name: "expire", before: [.enqueue(["a", "b"]), .lapse(["1", "2", "3"])],
      steps: [.lapse(["4"]), .expire, .claim(1), .enqueue(["c"])]),
    Scenario(
      name: "pause", before: [.enqueue(["a"])],
      steps: [.pause("b"), .pause("c"), .enqueue(["d"]), .resume, .claim(1)]),
    Scenario(
      name: "compact",
      before: [
        .enqueue((1...6).map { "a\($0)" }), .claim(4), .settle(["a1": .completed([]), "a2": .completed([])]),
      ],
      steps: [.compact, .enqueue(["b"])]),
    Scenario(name: "import", steps: [.importing, .enqueue(["a"])]),
    Scenario(
      name: "join the application", before: [.enqueue(["a"])],
      steps: [.join(["b"]), .enqueue(["c"]), .join(["d", "e"])]),
    Scenario(
      name: "close and open", before: [.enqueue(["a"]), .claim(1)],
      steps: [.enqueue(["b"]), .reopen, .settle(["a": .completed(["r"])])]),
    Scenario(name: "make a file", start: .missing, steps: [.reopen, .enqueue(["a"])]),
    Scenario(name: "migrate an old file", start: .old, steps: [.reopen, .enqueue(["a"]), .claim(1)]),
    Scenario(name: "open after a crash", start: .crashed, steps: [.reopen, .claim(1), .enqueue(["d"])]),
    Scenario(
      name: "checkpoint", start: .fullWAL,
      steps: [.enqueue(["c"]), .enqueue(["d"]), .enqueue(["e"]), .enqueue(["f"])]),
  ]
}
