import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// How much memory this process has had at most, in bytes.
func peakMemory() -> Int {
  var usage = rusage()
  #if canImport(Glibc)
  getrusage(RUSAGE_SELF.rawValue, &usage)
  return usage.ru_maxrss * 1024
  #else
  getrusage(RUSAGE_SELF, &usage)
  return usage.ru_maxrss
  #endif
}

func mebibytes(_ bytes: Int) -> String { "\(bytes >> 20) MiB" }
