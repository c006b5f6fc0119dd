internal import Qudo

extension Transaction {
  /// Lowers the demands of kinds with a rate to the number of jobs that may begin. All other claims read nothing here.
  func withinRates(_ kinds: [ClaimableKind], _ limit: Int) throws(QudoError) -> (
    [ClaimableKind], [RatedClaim]
  ) {
    guard kinds.contains(where: { $0.demand.rate != nil }) else { return (kinds, []) }
    var within: [ClaimableKind] = []
    var rated: [RatedClaim] = []
    for kind in kinds {
      guard let rate = kind.demand.rate else {
        within.append(kind)
        continue
      }
      let claim = RatedClaim(
        kind.demand.kind, number: kind.number, rate, try rateTable.bucket(of: kind.number),
        wanted: kind.most(limit), now: now.wall)
      rated.append(claim)
      guard claim.allowed > 0 else { continue }
      var demand = kind.demand
      demand.limit = claim.allowed
      within.append(ClaimableKind(demand: demand, number: kind.number))
    }
    return (within, rated)
  }

  /// Takes the tokens of a claim's jobs.
  func takeTokens(_ rated: [RatedClaim], for jobs: [ClaimedJob]) throws(QudoError) {
    for var claim in rated {
      let count = jobs.count { $0.kind == claim.kind }
      if claim.take(count) { try rateTable.set(claim.bucket, of: claim.number) }
      noteWait(claim, after: count)
    }
  }

  /// Notes when the next job of a kind may begin, if its rate held up some that the claim wanted.
  func noteWait(_ claim: RatedClaim, after count: Int) {
    guard let wait = claim.wait(after: count) else { return }
    effects.untilNextToken = min(effects.untilNextToken ?? wait, wait)
  }

  func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) throws(QudoError) {
    let number = try kindTable.id(creating: kind)
    var bucket = try rateTable.bucket(of: number)
    bucket.throttle(rate, for: duration, now: now.wall.microseconds)
    try rateTable.set(bucket, of: number)
  }
}
