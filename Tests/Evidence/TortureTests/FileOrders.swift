import Testing

/// What a controller was told, and the claims that it rules out. All times are those of the leases, in microseconds.
struct FileOrders {
  private struct Claim {
    let job: String
    let time: Int64
    let kind: String
  }

  private var claims: [Claim] = []
  /// By job: from when on it must not be claimed, and why.
  private var ends: [String: [(from: Int64, why: String)]] = [:]
  private var pauses: [(kind: String, from: Int64, to: Int64)] = []
  /// How often each verb was acknowledged.
  private(set) var counts: [String: Int] = [:]

  mutating func addClaim(_ words: [String]) throws {
    claims.append(Claim(job: words[1], time: try #require(Int64(words[4])), kind: words[5]))
  }

  mutating func add(_ words: [String]) throws {
    counts[words[0], default: 0] += 1
    switch words[0] {
    case "cancelled": ends[words[1], default: []].append((try #require(Int64(words[2])), "cancelled"))
    case "expires":
      // A claim before the change knows nothing of it; the wall clock's microseconds are those of another call.
      let end = try max(#require(Int64(words[3])), #require(Int64(words[2]))) + 1000
      ends[words[1], default: []].append((end, "expired"))
    case "paused": pauses.append((words[1], try #require(Int64(words[2])), try #require(Int64(words[3]))))
    default: break
    }
  }

  /// Jobs that were claimed after their cancel was acknowledged, after their expiry, or in a pause of their kind.
  func disobedient() -> [String] {
    // One controller comes after the other, so no two of them overlap.
    let pauses = pauses.sorted { $0.from < $1.from }
    return claims.flatMap { claim -> [String] in
      var wrong = (ends[claim.job] ?? []).filter { claim.time > $0.from }.map {
        "job \(claim.job) was \($0.why)"
      }
      var (low, high) = (0, pauses.count)
      while low < high {
        let middle = (low + high) / 2
        if pauses[middle].from < claim.time { low = middle + 1 } else { high = middle }
      }
      if let pause = low > 0 ? pauses[low - 1] : nil, claim.time < pause.to,
        ["*", claim.kind].contains(pause.kind)
      {
        wrong.append("job \(claim.job) of the paused kind \(pause.kind)")
      }
      return wrong
    }
  }
}
