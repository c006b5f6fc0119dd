#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

enum Memory {
  /// Returns the resident memory of this process in bytes; on systems without /proc, its peak.
  static func resident() -> Int {
    // Without /proc, use getrusage below.
    if let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) {
      let fields = text.split(separator: " ")
      if fields.count > 1, let pages = Int(fields[1]) { return pages * Int(getpagesize()) }
    }
    var usage = rusage()
    #if canImport(Darwin)
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between systems
    return Int(usage.ru_maxrss)
    #else
    getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between systems
    return Int(usage.ru_maxrss) * 1024
    #endif
  }
}
