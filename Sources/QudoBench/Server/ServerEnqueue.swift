#if MySQL
internal import Qudo
internal import QudoMySQL

extension ServerBench {
  /// Measures one caller with `batch` jobs per call, each call acknowledged before the next.
  func enqueue(_ name: String, _ count: Int, batch: Int) async throws -> [BenchLine] {
    // One call's round trips say little: it may include the one that checks the connection.
    let count = max(count, 5 * batch)
    var trips = RoundTrips()
    let rounds = try await interleave { floor in
      try floor.enqueue(1, batch: 1, payload)
      let before = floor.roundTrips
      let rate = try rate(count) { try floor.enqueue(count, batch: batch, payload) }
      trips.floor.append(Double(floor.roundTrips - before) / Double((count + batch - 1) / batch))
      return rate
    } qudo: { driver in
      let queue = Queue(driver)
      // Insert one job first, so that the kind has a number.
      try await fill(queue, 1)
      let jobs = Array(repeating: NewJob("bench", payload: Payload(payload)), count: batch)
      return try await rate(count) {
        for first in stride(from: 0, to: count, by: batch) {
          let before = driver.roundTrips
          try await queue.enqueue(count - first < batch ? Array(jobs.prefix(count - first)) : jobs)
          trips.qudo.append(Double(driver.roundTrips - before))
        }
      }
    }
    return [ServerBench.line(name, rounds)] + trips.lines("\(name), round trips per enqueue")
  }

  static func line(_ name: String, _ rounds: [(floor: Double, qudo: Double)]) -> BenchLine {
    BenchLine(
      workload: name, durability: nil, rate: median(rounds.map(\.qudo)), floor: median(rounds.map(\.floor)),
      floorName: floorName, ratios: rounds.map { $0.qudo / $0.floor }, target: .atLeast(0.7))
  }
}

/// The number of round trips to the server.
struct RoundTrips {
  /// The round trips of each call.
  var qudo: [Double] = []
  /// The round trips per call, for each round.
  var floor: [Double] = []

  /// Returns the round trips of a call compared with the floor, and their mean. The mean includes the
  /// driver's maintenance: after every 64 transactions it deletes receipts that are too old.
  func lines(_ name: String) -> [BenchLine] {
    let least = median(floor)
    return [
      BenchLine(
        workload: name, durability: nil, rate: median(qudo), unit: "", floor: least,
        floorName: ServerBench.floorName,
        target: .atMost(least, .rate)),
      BenchLine(
        workload: "\(name), mean", durability: nil, rate: qudo.reduce(0, +) / Double(qudo.count), unit: ""),
    ]
  }
}
#endif
