#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// By how much the time since boot that this process sees is ahead of the machine's.
///
/// Linux can give a container a clock since boot of its own (time_namespaces(7)); one that was restored from a checkpoint has it. Two
/// processes that judge each other's leases must read the same clock.
enum TimeNamespace {
  /// In microseconds; 0 outside of such a namespace, and where that cannot be told.
  static let offset: Int64 = find() ?? 0

  /// - Parameter text: of `/proc/self/timens_offsets`: a line for each clock, with its name, seconds and nanoseconds.
  /// - Returns: nil if there is none for the time since boot.
  static func offset(in text: some StringProtocol) -> Int64? {
    for line in text.split(separator: "\n") {
      let words = line.split { $0 == " " || $0 == "\t" }
      guard words.count == 3, ["boottime", "7"].contains(words[0]), let seconds = Int64(words[1]), let nanoseconds = Int64(words[2]) else { continue }
      let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000)
      return isTooLarge ? nil : whole.clampedPlus(nanoseconds / 1000)
    }
    return nil
  }

  private static func find() -> Int64? {
    #if os(Linux)
    // The offsets are those of the namespace that children are put into: "This is the time namespace that child processes will be
    // placed in". Most often it is this process's own.
    guard let own = link("/proc/self/ns/time"), own == link("/proc/self/ns/time_for_children") else { return nil }
    let file = open("/proc/self/timens_offsets", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 512)
    let count = read(file, &buffer, buffer.count)
    return offset(in: String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self))
    #else
    return nil
    #endif
  }

  #if os(Linux)
  private static func link(_ path: String) -> [CChar]? {
    var buffer = [CChar](repeating: 0, count: 64)
    let count = readlink(path, &buffer, buffer.count)
    return count > 0 ? Array(buffer.prefix(count)) : nil
  }
  #endif
}
