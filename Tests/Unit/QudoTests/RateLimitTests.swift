@testable import Qudo
import QudoTesting
import Testing

@Suite struct RateLimitTests {
  /// A bucket that is filled microsecond by microsecond.
  private struct SlowBucket {
    let spacing: Int64
    let burst: Int
    /// How much is missing, in microseconds of filling.
    var missing: Int64 = 0
    var throttled: Int64 = 0

    mutating func pass(_ time: Int64) {
      for _ in 0..<time { (missing, throttled) = (max(0, missing - 1), max(0, throttled - 1)) }
    }
    var tokens: Int { throttled > 0 ? 0 : burst - Int((missing + spacing - 1) / spacing) }
  }

  @Test("a bucket that stores when it is full has the tokens of one that is filled", arguments: 0..<50)
  func sameAsFilled(seed: UInt64) throws {
    var random = Seeded(seed: seed)
    let rate = RateLimit(
      .random(in: 1...5, using: &random), per: .microseconds(.random(in: 5...40, using: &random)),
      burst: .random(in: 1...6, using: &random))
    let spacing = try #require(rate.spacing)
    var slow = SlowBucket(spacing: spacing, burst: rate.burst)
    var bucket = RateBucket()
    var now: Int64 = 1_000_000
    for step in 0..<300 {
      try #require(bucket.tokens(rate, now: now) == slow.tokens, "step \(step) of \(rate)")
      let wait = try #require(bucket.wait(rate, now: now))
      #expect((wait == 0) == (slow.tokens > 0))
      var later = slow
      later.pass(wait)
      try #require(later.tokens > 0, "after the wait one may begin")
      if wait > 0 {
        var sooner = slow
        sooner.pass(wait - 1)
        #expect(sooner.tokens == 0, "and not before")
      }
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4:
        let count = Int.random(in: 0...slow.tokens, using: &random)
        bucket.take(count, rate, now: now)
        slow.missing += spacing * Int64(count)
      case 4..<8:
        let time = Int64.random(in: 0...30, using: &random)
        now += time
        slow.pass(time)
      case 8:
        let time = Int64.random(in: 1...60, using: &random)
        bucket.throttle(rate, for: .microseconds(time), now: now)
        slow.throttled = max(slow.throttled, time)
        slow.missing = max(slow.missing, slow.throttled + spacing * Int64(rate.burst - 1))
      default:
        // The clock is set back: nothing else changes.
        bucket.take(0, rate, now: now)
        now -= Int64.random(in: 0...100_000, using: &random)
        bucket.take(0, rate, now: now)
      }
    }
  }

  @Test("a bucket that is ahead of its rate or of the clock is written again, and then time goes by for it")
  func ahead() {
    let (slow, fast) = (RateLimit(1, per: .seconds(3600)), RateLimit(1, per: .seconds(1)))
    var bucket = RateBucket()
    #expect(!bucket.isAhead(of: slow, now: 0))
    bucket.take(1, slow, now: 1000)
    #expect(!bucket.isAhead(of: slow, now: 1000) && bucket.isAhead(of: fast, now: 1000))
    #expect(bucket.wait(fast, now: 1000) == 1_000_000)
    bucket.take(0, fast, now: 1000)
    #expect(!bucket.isAhead(of: fast, now: 1000) && bucket.wait(fast, now: 1_000_000) == 1000)
    #expect(bucket.isAhead(of: fast, now: 999))
    bucket.throttle(fast, for: .seconds(3600), now: 1000)
    #expect(!bucket.isAhead(of: fast, now: 1000) && !bucket.isAhead(of: fast, now: 3_600_000_000))
    #expect(bucket.wait(fast, now: 1000) == 3_600_000_000)
  }

  @Test func whatIsGivenBackCanBeTaken() {
    let rate = RateLimit(2, per: .seconds(2))
    var bucket = RateBucket()
    bucket.take(2, rate, now: 5)
    #expect(bucket.tokens(rate, now: 5) == 0)
    bucket.giveBack(1)
    #expect(bucket.tokens(rate, now: 5) == 1)
    // More than was taken does not make the bucket larger.
    bucket.giveBack(9)
    #expect(bucket.tokens(rate, now: 5) == 2)
  }

  @Test("what is given back during a throttle leaves the bucket empty") func givenBackDuringAThrottle() {
    let rate = RateLimit(3, per: .seconds(3))
    var bucket = RateBucket()
    bucket.take(3, rate, now: 0)
    bucket.throttle(rate, for: .seconds(10), now: 0)
    bucket.giveBack(2)
    #expect(bucket.tokens(rate, now: 9_999_999) == 0 && bucket.tokens(rate, now: 10_000_000) == 1)
    bucket.take(1, rate, now: 10_000_000)
    bucket.giveBack(1)
    #expect(bucket.tokens(rate, now: 10_000_000) == 1)
  }

  @Test(
    "whatever another program has written, a bucket has at most its burst",
    arguments: [
      Int64.min, -1, 0, 1, 1 << 40, Int64.max,
    ])
  func foreignValues(_ value: Int64) throws {
    let rate = RateLimit(3, per: .seconds(3))
    for other in [Int64.min, 0, Int64.max] {
      for now in [Int64.min, 0, 1 << 50, Int64.max] {
        var bucket = RateBucket(fullAt: value, writtenAt: other, spacing: value, throttledUntil: other)
        #expect((0...3).contains(bucket.tokens(rate, now: now)))
        #expect(try #require(bucket.wait(rate, now: now)) >= 0)
        bucket.giveBack(2)
        bucket.throttle(rate, for: .seconds(1), now: now)
        #expect((0...3).contains(bucket.tokens(rate, now: now)))
        bucket.take(0, rate, now: now)
        #expect((0...3).contains(bucket.tokens(rate, now: now)))
      }
    }
  }

  @Test(
    "a policy refuses a rate that lets nothing begin or takes too long",
    arguments: [
      (RateLimit(0, per: .seconds(1)), "under 1 job"), (RateLimit(1, per: .zero), "per microsecond"),
      (RateLimit(1, per: .seconds(-1)), "per microsecond"),
      (RateLimit(1_000_001, per: .seconds(1)), "per microsecond"),
      (RateLimit(1, per: .seconds(1), burst: 0), "burst"),
      (RateLimit(1, per: .seconds(86_400), burst: .max), "ten years"),
      (RateLimit(1, per: .seconds(Int64.max)), "ten years"),
    ])
  func refused(rate: RateLimit, text: String) {
    #expect {
      try JobPolicy(rate: rate).check("a")
    } throws: { error in
      let error = error as? QudoError
      return error?.code == .invalidArgument && error?.message.contains(text) == true
    }
  }

  @Test func theLargestRateIsAllowed() throws {
    try JobPolicy(rate: RateLimit(1_000_000, per: .seconds(1))).check("a")
    try JobPolicy(rate: RateLimit(1, per: .seconds(86_400 * 3600))).check("a")
  }
}
