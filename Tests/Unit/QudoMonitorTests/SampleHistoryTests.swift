import Qudo
import QudoMonitor
import Testing

@Suite struct SampleHistoryTests {
  private func sample(_ number: Int, ready: Int?, kinds: [Kind] = ["a"]) -> QueueSample {
    let now = Timestamp(microseconds: Int64(number) * 1_000_000)
    var state = DatabaseSample.DatabaseState(now: now)
    state.kinds = kinds.map { kind in
      var sample = KindSample(kind)
      sample.ready = ready ?? 0
      return sample
    }
    state.workers = [WorkerSample(processID: 1, jobs: [])]
    let other = DatabaseSample(name: "other", result: .failure(QudoError(.unreachable, "gone")))
    let database = DatabaseSample(
      name: "jobs", result: ready == nil ? .failure(QudoError(.unreachable, "gone")) : .success(state))
    return QueueSample(at: now, sinceBoot: now.microseconds, took: .zero, databases: [database, other])
  }

  @Test("keeps the last samples, oldest first, without their workers") func ring() {
    var history = SampleHistory(capacity: 3)
    #expect(history.count == 0 && history.last == nil && history.samples.isEmpty)
    for number in 1...5 {
      history.append(sample(number, ready: number))
      #expect(history.last?.at.microseconds == Int64(number) * 1_000_000)
    }
    #expect(history.count == 3)
    #expect(history.samples.map { $0.at.microseconds / 1_000_000 } == [3, 4, 5])
    #expect(history.samples.allSatisfy { $0.databases[0].state?.workers.isEmpty == true })
  }

  @Test("a series has nil where the database did not answer, and sums those that did") func series() {
    var history = SampleHistory()
    for (number, ready) in [1, nil, 3].enumerated() {
      history.append(sample(number, ready: ready, kinds: ["a", "b"]))
    }
    #expect(history.series("jobs") { Double($0.ready) } == [2, nil, 6])
    #expect(history.series("other") { Double($0.ready) } == [nil, nil, nil])
    #expect(history.series(nil, last: 2) { Double($0.ready) } == [nil, 6])
    #expect(history.series("b", in: "jobs") { Double($0.ready) } == [1, nil, 3])
    #expect(history.series("c", in: "jobs") { Double($0.ready) } == [nil, nil, nil])
    #expect(history.series("jobs", last: 0) { Double($0.ready) } == [])
  }

  @Test("a kind is found whatever the order of the kinds in the sample") func order() {
    let kinds: [Kind] = ["m", "b", "z", "a", "q"]
    var sample = sample(1, ready: 0, kinds: kinds)
    guard case .success(var state) = sample.databases[0].result else { return }
    for index in kinds.indices { state.kinds[index].ready = index + 1 }
    sample.databases[0].result = .success(state)
    var history = SampleHistory(capacity: 2)
    for _ in 0..<3 { history.append(sample) }
    for (index, kind) in kinds.enumerated() {
      #expect(
        history.series(kind, in: "jobs") { Double($0.ready) } == [Double(index + 1), Double(index + 1)])
    }
    for kind in ["", "c", "zz"] as [Kind] {
      #expect(history.series(kind, in: nil, last: 1) { Double($0.ready) } == [nil])
    }
  }

  @Test("of very many kinds it keeps the fullest") func manyKinds() throws {
    var sample = sample(1, ready: 0, kinds: (0..<300).map { Kind("k\(1000 + $0)") })
    var state = try sample.databases[0].result.get()
    state.kinds[250].ready = 5
    sample.databases[0].result = .success(state)
    var history = SampleHistory()
    history.append(sample)
    let kinds = try #require(history.last?.databases[0].state?.kinds)
    #expect(kinds.count == SampleHistory.mostKinds && kinds.contains { $0.kind == "k1250" })
    #expect(kinds.map(\.kind) == kinds.map(\.kind).sorted())
  }

  @Test("percentiles are those of the nearest rank") func percentiles() {
    #expect(Percentiles(ofMicroseconds: []) == nil)
    #expect(Percentiles(ofMicroseconds: [7]) == Percentiles(p50: .microseconds(7), p99: .microseconds(7)))
    #expect(
      Percentiles(ofMicroseconds: Array(1...200))
        == Percentiles(p50: .microseconds(100), p99: .microseconds(198)))
  }
}
