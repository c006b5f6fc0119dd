import CScarcity
import Foundation
import Qudo

#if canImport(Glibc)
import Glibc
#endif

/// What there is too little of.
enum Scarcity: CustomStringConvertible {
  /// SQLite's requests for memory are refused.
  case requests(first: Int, count: Int)
  case random(seed: UInt64, permille: Int)
  /// No more files can be opened than that.
  case descriptors(Int)
  /// No file may become longer than the WAL is, and so many bytes.
  case room(Int)

  func begin(_ file: RawFile) {
    switch self {
    case .requests(let first, let count): scarcity_fail(first, count)
    case .random(let seed, let permille): scarcity_fail_at_random(seed, Int32(permille))
    case .descriptors(let count): Descriptors.take(leaving: count)
    case .room(let bytes): FileSize.limit(to: file.wal.count + bytes)
    }
  }

  /// - Returns: how many requests were refused; 1 where that is not known.
  func end() -> Int {
    switch self {
    case .requests, .random: return scarcity_relent()
    case .descriptors: Descriptors.giveBack()
    case .room: FileSize.limit(to: nil)
    }
    return 1
  }

  /// What is thrown.
  var code: QudoError.Code {
    switch self {
    case .requests, .random: .outOfMemory
    case .descriptors: .tooManyFiles
    case .room: .diskFull
    }
  }

  var description: String {
    switch self {
    case .requests(let first, .max): "all requests from \(first) on"
    case .requests(let first, let count): "\(count) requests from \(first) on"
    case .random(let seed, let permille): "seed \(seed), \(permille) ‰"
    case .descriptors(let count): "\(count) descriptors"
    case .room(let bytes): "room for \(bytes) bytes"
    }
  }
}

/// This process's descriptors, of which it takes all that it does not need.
enum Descriptors {
  private static let taken = Locked<[Int32]>([])

  /// A small table is filled soon.
  static func limit(to count: Int) {
    var limit = rlimit()
    getrlimit(RLIMIT_NOFILE_, &limit)
    limit.rlim_cur = rlim_t(count)
    setrlimit(RLIMIT_NOFILE_, &limit)
  }

  static func take(leaving count: Int) {
    taken.withLock { taken in
      while true {
        let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { break }
        taken.append(file)
      }
      for _ in 0..<min(count, taken.count) { close(taken.removeLast()) }
    }
  }

  static func giveBack() {
    taken.withLock { taken in
      for file in taken { close(file) }
      taken = []
    }
  }

  /// How many are open.
  static var count: Int { (0..<Int32(1024)).count { fcntl($0, F_GETFD) >= 0 } }
}

/// How long this process's files may become.
enum FileSize {
  static func limit(to bytes: Int?) {
    signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit()
    getrlimit(RLIMIT_FSIZE_, &limit)
    limit.rlim_cur = bytes.map { rlim_t($0) } ?? limit.rlim_max
    setrlimit(RLIMIT_FSIZE_, &limit)
  }
}

#if canImport(Glibc)
private let RLIMIT_NOFILE_ = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
private let RLIMIT_FSIZE_ = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
#else
private let RLIMIT_NOFILE_ = RLIMIT_NOFILE
private let RLIMIT_FSIZE_ = RLIMIT_FSIZE
#endif
