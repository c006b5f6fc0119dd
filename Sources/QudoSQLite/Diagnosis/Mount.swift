internal import Qudo

/// The mount that a path is on, as `/proc/self/mountinfo` lists it.
struct Mount {
  let point: String
  let type: String
  /// The options of the mount and of its file system.
  let options: Set<String>

  /// Returns the mount of an absolute path without links; nil if unknown, as outside Linux.
  static func of(_ path: String) -> Mount? {
    #if os(Linux)
    SystemFile.read("/proc/self/mountinfo").flatMap { of(path, in: String(decoding: $0, as: UTF8.self)) }
    #else
    nil
    #endif
  }

  /// - Parameter list: Lines such as `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
  static func of(_ path: String, in list: String) -> Mount? {
    var best: Mount?
    for line in list.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 6, let dash = words.firstIndex(of: "-"), dash + 3 < words.count else { continue }
      let point = unescaped(words[4])
      guard point == "/" || path == point || path.hasPrefix(point + "/") else { continue }
      // Of several mounts of one place, the last one counts.
      if let best, best.point.utf8.count > point.utf8.count { continue }
      let options = words[5].split(separator: ",") + words[dash + 3].split(separator: ",")
      best = Mount(point: point, type: String(words[dash + 1]), options: Set(options.map(String.init)))
    }
    return best
  }

  /// Returns a path without the kernel's `\040` for a space and the like.
  private static func unescaped(_ word: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(word.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"),
        let octal = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(octal)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Returns what the mount and its file system risk.
  var findings: [Finding] {
    var found: [Finding] = []
    if ["tmpfs", "ramfs"].contains(type) {
      found.append(
        Finding(
          "file-system", .warning, "the database is in memory (\(type) at \(point)): a reboot loses all jobs",
          advice: "move the file to a disk, unless its jobs may be lost"))
    }
    if type == "overlay" {
      found.append(
        Finding(
          "file-system", .note,
          "the database is on an overlay file system, as a container's own files are: they go with the container",
          advice: "if this is a container, mount a volume, and put the folder of the database there"))
    }
    if type == "fuse" || type.hasPrefix("fuse.") {
      found.append(
        Finding(
          "file-system", .warning,
          "the database is on a FUSE file system (\(type)): if another computer or a virtual machine shares it, WAL mode damages the file",
          advice: "move the file to a local disk"))
    }
    let noBarriers = options.intersection(["nobarrier", "barrier=0", "barrier=none"]).sorted()
    if let option = noBarriers.first {
      found.append(
        Finding(
          "mount", .warning,
          "\(point) is mounted with \(option): a power cut can lose acknowledged jobs or damage the file",
          advice: "mount it without the option, unless the disk's cache survives a power cut"))
    }
    if options.contains("ro") {
      found.append(
        Finding(
          "mount", .warning, "\(point) is mounted read-only: nothing can be enqueued or worked on",
          advice: "mount it for writing (mount -o remount,rw), after a look at why it is not"))
    }
    return found
  }
}
