package import Qudo

/// A job with a text as its payload.
package func job(
  _ text: String = "", kind: Kind = "a", unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now,
  expires: Expiry = .never, maxWaiting: MaxWaiting? = nil
) -> NewJob {
  NewJob(
    kind, payload: Payload(Array(text.utf8)), unique: unique, priority: priority, due: due, expires: expires,
    maxWaiting: maxWaiting)
}

/// A claim of up to `limit` jobs of the kinds, by default of "a".
package func demand(
  _ limit: Int = 10, _ kinds: Kind..., leaseDuration: Duration = .seconds(60), maxExpiredLeases: Int = 5
) -> ClaimRequest {
  ClaimRequest(
    (kinds.isEmpty ? ["a"] : kinds).map {
      .init($0, leaseDuration: leaseDuration, maxExpiredLeases: maxExpiredLeases)
    }, limit: limit)
}

extension Claim {
  /// The payloads as texts.
  package var texts: [String] { jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } }
}
