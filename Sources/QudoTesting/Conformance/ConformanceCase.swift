public import Qudo

/// One thing that a driver must do, as a plain value that any test framework can run.
///
///     @Test(arguments: ConformanceSuite.cases(for: [.durable, .multiProcess]))
///     func conforms(_ aCase: ConformanceCase) async throws {
///       let file = TemporaryFile()
///       try await aCase.run(ConformanceSubject { clock in try MyDriver(path: file.path, clock: clock) })
///     }
public struct ConformanceCase: Sendable, Identifiable, CustomStringConvertible {
  /// What the driver must do, as a sentence in camelCase. No two cases have the same.
  public let name: String
  /// What it belongs to.
  public let promise: Promise
  /// What a driver must declare for the case to make sense.
  public let requires: Capabilities
  private let body: @Sendable (ConformanceSubject) async throws -> Void

  init(
    _ name: String, _ promise: Promise, requires: Capabilities = [],
    _ body: @escaping @Sendable (ConformanceSubject) async throws -> Void
  ) {
    self.name = name
    self.promise = promise
    self.requires = requires
    self.body = body
  }

  public var id: String { name }
  public var description: String { "\(promise.rawValue). \(name)" }

  /// - Parameter subject: a fresh one, with nothing in its database.
  /// - Throws: ``ConformanceFailure`` where the driver does otherwise; what the driver threw.
  public func run(_ subject: ConformanceSubject) async throws {
    do {
      try await body(subject)
    } catch {
      await subject.closeAll()
      throw error
    }
    await subject.closeAll()
  }
}

/// A driver did not do what it must.
public struct ConformanceFailure: Error, CustomStringConvertible {
  /// Of the check: `QudoTesting/KeyCases.swift`.
  public let file: String
  /// The line of the check that failed.
  public let line: Int
  /// What was expected and what was found.
  public let message: String

  public var description: String { "\(file):\(line): \(message)" }
}
