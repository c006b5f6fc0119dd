public import Qudo

/// A test of one thing that a driver must do, as a plain value that any test framework can run.
///
///     @Test(arguments: ConformanceSuite.cases(for: [.durable, .multiProcess]))
///     func conforms(_ aCase: ConformanceCase) async throws {
///       let file = TemporaryFile()
///       try await aCase.run(ConformanceSubject { clock in try MyDriver(path: file.path, clock: clock) })
///     }
public struct ConformanceCase: Sendable, Identifiable, CustomStringConvertible {
  /// The requirement as a sentence in camelCase, unique among the cases.
  public let name: String
  /// The promise that the case checks.
  public let promise: Promise
  /// The capabilities that a driver must declare for the case to apply.
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

  /// Runs the case and closes the connections that it opened.
  ///
  /// - Parameter subject: a fresh subject with an empty database.
  /// - Throws: ``ConformanceFailure`` if the driver behaves differently, and the errors of the driver.
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

/// A driver did not meet a requirement.
public struct ConformanceFailure: Error, CustomStringConvertible {
  /// The file of the failed check, such as `QudoTesting/KeyCases.swift`.
  public let file: String
  /// The line of the failed check.
  public let line: Int
  /// The expected and the actual result.
  public let message: String

  public var description: String { "\(file):\(line): \(message)" }
}
