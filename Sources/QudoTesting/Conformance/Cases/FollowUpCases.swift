internal import Qudo

// Unique keys together with concurrency keys: one job runs, and one waits for it with the newest payload.
extension ConformanceSuite {
  static let followUps: [ConformanceCase] = [
    ConformanceCase("aFollowUpIsOneJobWithTheNewestPayload", .keysKeepOrder, requires: .concurrencyKeys) {
      subject in
      let driver = try await subject.open()
      func followUp(_ text: String, due: Due = .now) -> NewJob {
        var options = EnqueueOptions.followUp("k")
        options.due = due
        return NewJob("a", payload: Payload(text), options: options)
      }
      let first = try await driver.insertNew(followUp("1"))
      try check(try await driver.insert(followUp("2")), is: .overwritten(first), "none runs yet")
      let running = try await driver.claimOne()
      try check(running.payload.text, is: "2")
      let next = try await driver.insertNew(followUp("3"))
      for text in ["4", "5"] { try check(try await driver.insert(followUp(text)), is: .overwritten(next)) }
      try check(try await driver.states(), is: [.running, .held])
      try check(try await driver.texts(), is: [], "one runs")
      let answer = try await driver.settle([Settlement(running.lease, .completed())], claiming: demand())
      try check(answer.claim?.texts, is: ["5"])
      // It is the running one now. A delayed one is debounced, and waits for both.
      let last = try await driver.insertNew(followUp("6", due: .after(.seconds(5))))
      try check(try await driver.insert(followUp("7", due: .after(.seconds(9)))), is: .overwritten(last))
      try await driver.complete(answer.claim?.jobs ?? [])
      subject.clock.advance(by: .seconds(8))
      try check(try await driver.texts(), is: [])
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.texts(), is: ["7"])
    },
    ConformanceCase(
      "aFollowUpWaitsForRetriesAndExpiredLeases", .keysKeepOrder, requires: .concurrencyKeys
    ) { subject in
      let driver = try await subject.open()
      func followUp(_ text: String) -> NewJob {
        NewJob("a", payload: Payload(text), options: .followUp("k"))
      }
      try await driver.insertNew(followUp("1"))
      let running = try await driver.claimOne()
      let next = try await driver.insertNew(followUp("2"))
      try await driver.settle(running.lease, .retry(after: .seconds(5), message: ""))
      try check(try await driver.texts(), is: [], "the first one waits for its retry")
      try check(try await driver.insert(followUp("3")), is: .overwritten(next))
      try check(try await driver.states(), is: [.delayed, .held])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(), is: ["1"])
      // Its worker dies: the next claim has the first job again.
      subject.clock.advance(by: .seconds(61))
      let again = try await driver.claimOne()
      try check(again.payload.text, is: "1")
      try check(try await driver.insert(followUp("4")), is: .overwritten(next))
      let answer = try await driver.settle(
        [Settlement(again.lease, .failed(message: ""))], claiming: demand())
      try check(answer.claim?.texts, is: ["4"], "after a final failure")
      try check(try await driver.states(), is: [.running])
    },
    ConformanceCase("aHeldJobIsDebounced", .keysKeepOrder, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      func new(_ text: String, _ delay: Int) -> NewJob {
        keyed(text, unique: .debounced("k", atMost: .seconds(20)), due: .after(.seconds(delay)))
      }
      let enqueued = subject.clock.now().wall
      try await driver.insertNew(keyed("running"))
      let running = try await driver.claimOne()
      let id = try await driver.insertNew(new("1", 5))
      subject.clock.advance(by: .seconds(18))
      try check(try await driver.insert(new("2", 5)), is: .overwritten(id))
      let held = try require(try await driver.jobs(matching: JobQuery(states: [.held])).first, "a held job")
      try check(held.dueAt, is: enqueued.advanced(by: .seconds(20)))
      subject.clock.advance(by: .seconds(3))
      try check(try await driver.insert(new("3", 5)), is: .overwritten(id))
      let answer = try await driver.settle([Settlement(running.lease, .completed())], claiming: demand())
      try check(answer.claim?.texts, is: ["3"], "due since its bound")
    },
  ]
}
