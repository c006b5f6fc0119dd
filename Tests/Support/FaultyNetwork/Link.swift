internal import Foundation

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A client's connection and the one to the server that belongs to it.
final class Link {
  /// The client's and the server's socket, -1 when it is closed: those that the directions read from.
  private var sockets: [Int32]
  private var streams: [Stream]
  private(set) var isOver = false

  init(_ client: Int32, _ server: Int32, _ modes: [Proxy.Mode]) {
    sockets = [client, server]
    streams = modes.map { Stream(mode: $0) }
  }

  /// Whether one of its ends waits for what never comes.
  var isDamaged: Bool { sockets.contains(-1) || streams.contains { $0.hasLost } }

  func set(_ mode: Proxy.Mode, _ direction: Proxy.Direction) {
    streams[direction.rawValue].set(mode, Relay.now)
  }

  func cut(_ side: Proxy.Side) {
    if side != .server { reset(0) }
    if side != .client { reset(1) }
  }

  private func reset(_ end: Int) {
    if sockets[end] >= 0 { Socket.reset(sockets[end]) }
    sockets[end] = -1
    if sockets == [-1, -1] { isOver = true }
  }

  /// What to wait for. Without interest in a socket not even its end is waited for: poll(2) would return at once, again and again.
  func files(_ now: UInt64) -> [pollfd] {
    (0..<2).map { end in
      var events: Int16 = 0
      if streams[end].reads { events |= Int16(POLLIN) }
      if streams[1 - end].isDue(now) { events |= Int16(POLLOUT) }
      return pollfd(fd: events == 0 ? -1 : sockets[end], events: events, revents: 0)
    }
  }

  func nextDue(_ now: UInt64) -> UInt64 {
    var next = UInt64.max
    // What is due already waits for the socket.
    for stream in streams { if let due = stream.due, due > now { next = min(next, due) } }
    return next
  }

  /// Moves what can be moved.
  func move() {
    for direction in 0..<2 where !isOver {
      read(direction)
      if !isOver { write(direction) }
    }
  }

  private func read(_ direction: Int) {
    guard streams[direction].reads, sockets[direction] >= 0 else { return }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = recv(sockets[direction], &buffer, buffer.count, 0)
    if count > 0 {
      streams[direction].take(buffer[..<count], Relay.now)
    } else if count == 0 {
      streams[direction].takeEnd(Relay.now)
    } else if !Socket.wouldBlock, errno != ENOTCONN {
      // This end is gone. The other one hears of it unless that is swallowed.
      let isSwallowed = streams[direction].swallows
      reset(direction)
      if !isSwallowed { reset(1 - direction) }
    }
  }

  private func write(_ direction: Int) {
    let to = sockets[1 - direction]
    while let item = streams[direction].first(Relay.now) {
      guard to >= 0 else { return streams[direction].lose() }
      switch item {
      case .bytes(let bytes):
        let count = Socket.send(to, bytes)
        guard count >= 0 else {
          if !Socket.wouldBlock, errno != ENOTCONN { cut(.both) }
          return
        }
        streams[direction].sent(count)
      case .end:
        shutdown(to, Int32(SHUT_WR))
        streams[direction].ended()
        if streams.allSatisfy(\.isOver) { finish() }
        return
      case .close:
        shutdown(to, Int32(SHUT_WR))
        return finish()
      }
    }
  }

  /// Closes both in order.
  private func finish() {
    for socket in sockets where socket >= 0 { close(socket) }
    sockets = [-1, -1]
    isOver = true
  }
}

/// One direction of a connection.
struct Stream {
  enum Item {
    case bytes(ArraySlice<UInt8>)
    /// The sender has no more to say.
    case end
    /// The rest is lost, and the connection with it.
    case close
  }

  private var mode: Proxy.Mode
  private var items: [(due: UInt64, item: Item)] = []
  private var size = 0
  /// How much may still pass, of ``Proxy/Mode/truncates(after:)``.
  private var rest: Int?
  private(set) var hasLost = false
  /// The rest is lost, and what came before it is on its way.
  private var isClosing = false
  private var hasEnded = false
  /// The receiver has got the end.
  private(set) var isOver = false

  init(mode: Proxy.Mode) {
    self.mode = mode
    if case .truncates(let count) = mode { rest = count }
  }

  mutating func set(_ mode: Proxy.Mode, _ now: UInt64) {
    self.mode = mode
    rest = if case .truncates(let count) = mode { count } else { nil }
    // What was held goes on.
    for index in items.indices where items[index].due == .max { items[index].due = due(now) }
  }

  var swallows: Bool { hasLost || mode == .swallows }
  /// With so much on its way the sender has to wait, as with a full window.
  var reads: Bool { !hasEnded && !isClosing && (swallows || size < 1 << 20) }
  var due: UInt64? { items.first.flatMap { $0.due == .max ? nil : $0.due } }
  func isDue(_ now: UInt64) -> Bool { items.first.map { $0.due <= now } ?? false }
  func first(_ now: UInt64) -> Item? { isDue(now) ? items.first?.item : nil }

  private func due(_ now: UInt64) -> UInt64 {
    switch mode {
    case .holds: .max
    case .delays(let milliseconds): now + UInt64(clamping: milliseconds) * 1_000_000
    default: now
    }
  }

  private mutating func add(_ item: Item, _ now: UInt64) {
    // Nothing overtakes what was before it.
    items.append((max(due(now), items.last?.due ?? 0), item))
  }

  mutating func take(_ bytes: ArraySlice<UInt8>, _ now: UInt64) {
    guard !swallows else { return lose() }
    let passed = bytes.prefix(rest ?? bytes.count)
    rest = rest.map { $0 - passed.count }
    size += passed.count
    if !passed.isEmpty { add(.bytes(passed), now) }
    guard rest == 0 else { return }
    add(.close, now)
    isClosing = true
  }

  mutating func takeEnd(_ now: UInt64) {
    hasEnded = true
    if swallows { hasLost = true } else { add(.end, now) }
  }

  /// What is on its way is lost as well.
  mutating func lose() {
    hasLost = true
    (items, size) = ([], 0)
  }

  mutating func sent(_ count: Int) {
    guard case .bytes(let bytes) = items[0].item else { return }
    size -= count
    if count < bytes.count { items[0].item = .bytes(bytes.dropFirst(count)) } else { items.removeFirst() }
  }

  mutating func ended() {
    items.removeFirst()
    isOver = true
  }
}
