import QudoTesting

/// The files of a folder by their paths, as they are and as the disk has them.
struct DiskFolder {
  private(set) var now: [String: DiskFile] = [:]
  private var synced: [String: DiskFile] = [:]
  /// What was made and deleted since, and what was there then.
  private var changes: [(path: String, file: DiskFile?)] = []

  /// A file that has been there for long.
  mutating func found(_ path: String, _ bytes: [UInt8]) {
    let file = DiskFile(bytes)
    now[path] = file
    synced[path] = file
  }

  mutating func make(_ path: String) {
    let file = DiskFile([])
    now[path] = file
    changes.append((path, file))
  }

  mutating func delete(_ path: String) {
    now[path] = nil
    changes.append((path, nil))
  }

  mutating func sync() {
    synced = now
    changes = []
  }

  /// The files' contents after a power loss.
  func images(_ survival: Survival, seed: UInt64) -> [String: [UInt8]] {
    var random = Seeded(seed: seed)
    var files = survival == .all ? now : synced
    if survival == .some || survival == .torn {
      // Of each name any of its changes may have been the last one that arrived.
      for path in Set(changes.map(\.path)).sorted() {
        let own = changes.filter { $0.path == path }
        let last = Int.random(in: -1..<own.count, using: &random)
        if last >= 0 { files[path] = own[last].file }
      }
    }
    var images: [String: [UInt8]] = [:]
    for path in files.keys.sorted() { images[path] = files[path]?.image(survival, &random) }
    return images
  }
}
