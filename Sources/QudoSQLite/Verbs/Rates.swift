internal import Qudo

/// A kind with a rate, during a claim.
struct RatedKind {
  let number: Int64
  let kind: Kind
  let rate: RateLimit
  var bucket: RateBucket
  /// The number of jobs that the claim wants, and how many of them may begin.
  let wanted: Int
  let allowed: Int
}

extension Transaction {
  /// Lowers the demands of kinds with a rate to the number of jobs that may begin. All other claims read nothing here.
  func withinRates(_ kinds: [ClaimableKind], _ limit: Int) throws(QudoError) -> ([ClaimableKind], [RatedKind])
  {
    guard kinds.contains(where: { $0.demand.rate != nil }) else { return (kinds, []) }
    var within: [ClaimableKind] = []
    var rated: [RatedKind] = []
    for kind in kinds {
      guard let rate = kind.demand.rate else {
        within.append(kind)
        continue
      }
      let bucket = try rateTable.bucket(of: kind.number)
      let wanted = kind.most(limit)
      let allowed = min(wanted, bucket.tokens(rate, now: now.wall.microseconds))
      rated.append(
        RatedKind(
          number: kind.number, kind: kind.demand.kind, rate: rate, bucket: bucket, wanted: wanted,
          allowed: allowed))
      guard allowed > 0 else { continue }
      var demand = kind.demand
      demand.limit = allowed
      within.append(ClaimableKind(demand: demand, number: kind.number))
    }
    return (within, rated)
  }

  /// Takes the tokens of a claim's jobs.
  func takeTokens(_ rated: [RatedKind], for jobs: [ClaimedJob]) throws(QudoError) {
    for var kind in rated {
      let count = jobs.count { $0.kind == kind.kind }
      if count > 0 || kind.bucket.isAhead(of: kind.rate, now: now.wall.microseconds) {
        kind.bucket.take(count, kind.rate, now: now.wall.microseconds)
        try rateTable.set(kind.bucket, of: kind.number)
      }
      if count == kind.allowed { noteWait(kind) }
    }
  }

  /// Notes when the next job of a kind may begin, if the rate held up some that the claim wanted.
  func noteWait(_ kind: RatedKind) {
    guard kind.allowed < kind.wanted,
      let wait = kind.bucket.wait(kind.rate, now: now.wall.microseconds)
    else { return }
    effects.untilNextToken = min(effects.untilNextToken ?? wait, wait)
  }

  func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) throws(QudoError) {
    let number = try kindTable.id(creating: kind)
    var bucket = try rateTable.bucket(of: number)
    bucket.throttle(rate, for: duration, now: now.wall.microseconds)
    try rateTable.set(bucket, of: number)
  }
}
