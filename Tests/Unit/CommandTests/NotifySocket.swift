import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A socket that stands in for a service manager's.
final class NotifySocket {
  /// As `NOTIFY_SOCKET` has it.
  let name: String
  private let file: Int32

  /// - Parameter name: a path, or an abstract name that begins with `@`.
  init(_ name: String) throws {
    self.name = name
    #if canImport(Glibc)
    file = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    #else
    file = socket(AF_UNIX, SOCK_DGRAM, 0)
    #endif
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = name.hasPrefix("@") ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8) + [0]
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes.prefix($0.count)) }
    let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(file, $0, socklen_t(offset + bytes.count)) }
    }
    guard code == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
  }

  deinit { close(file) }

  /// The lines of the next datagram; waits for it.
  func next() throws -> [String] {
    var ready = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, Int32(waitLimit * 1000)) > 0 else {
      throw GaveUp(description: "nothing was notified")
    }
    return receive() ?? []
  }

  /// The datagrams that are there.
  func rest() -> [[String]] {
    var all: [[String]] = []
    while let lines = receive() { all.append(lines) }
    return all
  }

  /// Waits for a datagram with a line.
  func wait(for line: String) throws { while try !next().contains(line) {} }

  private func receive() -> [String]? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(file, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    guard count >= 0 else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
