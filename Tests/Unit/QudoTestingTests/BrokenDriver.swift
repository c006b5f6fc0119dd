import ForwardingDriver
import Qudo

/// Gives each job the same id.
struct BrokenDriver: ForwardingDriver {
  let base: any LogDriver

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    try await base.insert(jobs).map { _ in .inserted(1) }
  }
}
