import Qudo
import Testing

@Suite struct ConcurrencyKeyTests {
  @Test("a database that knows no keys refuses a job with one, and no other") func refused() throws {
    let jobs = [NewJob("a"), NewJob("a", concurrencyKey: "k")]
    try Capabilities.durable.check(keysOf: [jobs[0]])
    try Capabilities.concurrencyKeys.check(keysOf: jobs)
    #expect {
      try Capabilities.durable.check(keysOf: jobs)
    } throws: { ($0 as? QudoError)?.code == .invalidArgument }
  }

  @Test("a database that knows no groups refuses a job with one, and no other") func groupRefused() throws {
    let jobs = [NewJob("a"), NewJob("a", group: "g")]
    try Capabilities.concurrencyKeys.check(keysOf: [jobs[0]])
    try Capabilities.groups.check(keysOf: jobs)
    #expect {
      try Capabilities.concurrencyKeys.check(keysOf: jobs)
    } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    #expect(try EnqueueOptions(group: "g").part(1, of: 2).group == "g")
    #expect(NewJob("a", options: EnqueueOptions(group: "g")).group == "g")
  }

  @Test("a database that stops no keys refuses a job whose key stops, and no other") func stopRefused() throws
  {
    let jobs = [
      NewJob("a", concurrencyKey: "k"), NewJob("a", concurrencyKey: ConcurrencyKey("k", afterFailure: .stop)),
    ]
    try Capabilities.concurrencyKeys.check(keysOf: [jobs[0]])
    try ([.concurrencyKeys, .keyStops] as Capabilities).check(keysOf: jobs)
    #expect {
      try Capabilities.concurrencyKeys.check(keysOf: jobs)
    } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    #expect(FailureReason.allCases.filter(\.stopsKeys) == [.failed, .aborted, .lost])
  }

  @Test("a database that knows no rates of keys refuses a job whose key has one, and no other")
  func rateRefused() throws {
    let rate = RateLimit(10, per: .seconds(60), burst: 3)
    let jobs = [
      NewJob("a", concurrencyKey: "k"), NewJob("a", concurrencyKey: ConcurrencyKey("k", rate: rate)),
    ]
    try Capabilities.concurrencyKeys.check(keysOf: [jobs[0]])
    try ([.concurrencyKeys, .keyRates] as Capabilities).check(keysOf: jobs)
    #expect {
      try Capabilities.concurrencyKeys.check(keysOf: jobs)
    } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    #expect(rate.text == "10/60000000/3")
    #expect(try RateLimit(text: rate.text) == rate)
    for text in ["", "1", "1/2", "1/2/3/4", "0/1/1", "1/1/0", "-1/1/1", "1/0/1", "2/1/1", "1/x/1", "1//1"] {
      #expect {
        _ = try RateLimit(text: text)
      } throws: { ($0 as? QudoError)?.code == .corrupt }
    }
  }

  @Test("all jobs of a batch share the key of its options") func batch() throws {
    let options = EnqueueOptions(concurrencyKey: ConcurrencyKey("k", limit: 2))
    #expect(try options.part(1, of: 2).concurrencyKey == ConcurrencyKey("k", limit: 2))
    #expect(NewJob("a", options: options).concurrencyKey?.limit == 2)
    #expect(ConcurrencyKey("k") == "k")
  }
}
