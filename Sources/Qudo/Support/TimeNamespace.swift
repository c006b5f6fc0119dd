#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The difference between this process's time since boot and the machine's.
///
/// Linux can give a container its own clock since boot (time_namespaces(7)), for example after a restore from
/// a checkpoint. Two processes that compare leases must read the same clock.
enum TimeNamespace {
  /// The offset in microseconds; 0 outside a time namespace, or if it is unknown.
  static let offset: Int64 = find() ?? 0

  /// - Parameter text: Of `/proc/self/timens_offsets`: per line a clock's name, seconds and nanoseconds.
  /// - Returns: The offset of the time since boot; nil if there is none.
  static func offset(in text: some StringProtocol) -> Int64? {
    for line in text.split(separator: "\n") {
      let words = line.split { $0 == " " || $0 == "\t" }
      guard words.count == 3, ["boottime", "7"].contains(words[0]), let seconds = Int64(words[1]),
        let nanoseconds = Int64(words[2])
      else { continue }
      let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000)
      return isTooLarge ? nil : whole.clampedPlus(nanoseconds / 1000)
    }
    return nil
  }

  private static func find() -> Int64? {
    #if os(Linux)
    // The offsets are those of the namespace of children: "This is the time namespace that child processes
    // will be placed in". Usually it is also this process's own.
    guard let own = link("/proc/self/ns/time"), own == link("/proc/self/ns/time_for_children") else {
      return nil
    }
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
