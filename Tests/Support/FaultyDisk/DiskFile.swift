import QudoTesting

/// A file as it is on the disk, and what has not arrived there.
final class DiskFile {
  private struct Change {
    enum What {
      case write([UInt8], at: Int)
      case cut(to: Int)
    }
    let what: What
    /// A sync has failed since. The system takes it for written, and no later sync brings it to the disk: Linux does so.
    var isLost = false
  }

  private var synced: [UInt8]
  private var changes: [Change] = []

  init(_ synced: [UInt8]) { self.synced = synced }

  func write(_ bytes: [UInt8], at offset: Int) { changes.append(Change(what: .write(bytes, at: offset))) }
  func cut(to size: Int) { changes.append(Change(what: .cut(to: size))) }

  func sync() {
    for change in changes where !change.isLost { Self.make(change.what, in: &synced) }
    changes = []
  }

  func failSync() {
    for index in changes.indices {
      if case .write = changes[index].what { changes[index].isLost = true }
    }
  }

  /// What is there after a power loss.
  func image(_ survival: Survival, _ random: inout Seeded) -> [UInt8] {
    var image = synced
    switch survival {
    case .nothing: break
    case .all:
      for change in changes { Self.make(change.what, in: &image) }
    case .some, .torn:
      // Systems bring all of a file or nothing of it more often than by chance.
      let odds = [0, 4, 2, 1, 3, 4].randomElement(using: &random) ?? 2
      for change in changes where Int.random(in: 0..<4, using: &random) < odds {
        guard survival == .torn, case .write(let bytes, let offset) = change.what else {
          Self.make(change.what, in: &image)
          continue
        }
        Self.tear(bytes, at: offset, in: &image, &random)
      }
    }
    return image
  }

  private static func make(_ change: Change.What, in image: inout [UInt8]) {
    switch change {
    case .write(let bytes, let offset): put(bytes[...], at: offset, in: &image)
    case .cut(let size):
      if size < image.count { image.removeLast(image.count - size) } else { extend(&image, to: size) }
    }
  }

  private static func put(_ bytes: ArraySlice<UInt8>, at offset: Int, in image: inout [UInt8]) {
    extend(&image, to: offset + bytes.count)
    image.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
  }

  private static func extend(_ image: inout [UInt8], to size: Int) {
    if size > image.count { image += [UInt8](repeating: 0, count: size - image.count) }
  }

  static let sector = 512

  /// Each sector arrives, does not, or is spoiled as a whole, including what was next to the write in it.
  private static func tear(_ bytes: [UInt8], at offset: Int, in image: inout [UInt8], _ random: inout Seeded)
  {
    let end = offset + bytes.count
    var start = offset
    while start < end {
      let first = start / sector * sector
      let next = min(first + sector, end)
      switch Int.random(in: 0..<8, using: &random) {
      case 0, 1, 2: break
      case 3:
        let garbage = (0..<sector).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        put(garbage[..<min(sector, max(image.count, next) - first)], at: first, in: &image)
      default: put(bytes[(start - offset)..<(next - offset)], at: start, in: &image)
      }
      start = next
    }
  }
}
