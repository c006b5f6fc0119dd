internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A progress bar on standard error, if that is a terminal.
enum Progress {
  private static let width = 30

  /// True if standard error is a terminal.
  static var isShown: Bool { isatty(STDERR_FILENO) == 1 }

  /// Shows the progress of `body` until it returns.
  ///
  /// - Parameter done: returns how many of `total` are done; called ten times a second.
  static func show<Result>(
    _ title: String, of total: Int, done: @escaping @Sendable () -> Int, _ body: () async throws -> Result
  ) async throws -> Result {
    guard isShown else { return try await body() }
    let bar = Task {
      while !Task.isCancelled {
        draw(title, done(), of: total)
        try? await Task.sleep(for: .milliseconds(100))  // If cancelled, the loop ends.
      }
    }
    defer { put("\r\u{1b}[K") }
    do {
      let result = try await body()
      bar.cancel()
      await bar.value
      return result
    } catch {
      bar.cancel()
      await bar.value
      throw error
    }
  }

  private static func draw(_ title: String, _ done: Int, of total: Int) {
    let filled = width * min(done, total) / max(total, 1)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    put("\r\(title) \(bar) \(Figures.grouped(done)) of \(Figures.grouped(total))\u{1b}[K")
  }

  private static func put(_ text: String) {
    var text = text
    // A failure to draw the bar does no harm.
    _ = text.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
  }
}
