/// What goes wrong on a ``FaultyDisk``, and when.
public struct Fault: Hashable, Sendable, CustomStringConvertible {
  public struct Operations: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let open = Operations(rawValue: 1 << 0)
    public static let read = Operations(rawValue: 1 << 1)
    public static let write = Operations(rawValue: 1 << 2)
    public static let truncate = Operations(rawValue: 1 << 3)
    public static let sync = Operations(rawValue: 1 << 4)
    public static let delete = Operations(rawValue: 1 << 5)
    /// Those that change what is on the disk.
    public static let changes: Operations = [.open, .write, .truncate, .sync, .delete]
    public static let all: Operations = [.changes, .read]
  }

  public enum Effect: String, Sendable {
    /// The disk reports an error; a file is not opened.
    case error
    /// There is no room for a write.
    case full
    /// A read of a journal or WAL brings less than was asked for. SQLite takes that for an error; of a database file it would
    /// take it for the file's end.
    case short
    /// The machine goes off: nothing is done any more.
    case powerLoss
  }

  public var effect: Effect
  public var operations: Operations
  /// It strikes the n-th of them, from 1 on.
  public var at: Int
  /// Whether it strikes all that follow, too.
  public var lasts: Bool
  /// Whether the first half of a write arrives all the same.
  public var partly: Bool

  public init(_ effect: Effect, _ operations: Operations, at: Int, lasts: Bool = false, partly: Bool = false)
  {
    self.effect = effect
    self.operations = operations
    self.at = at
    self.lasts = lasts
    self.partly = partly
  }

  public var description: String {
    "\(effect) at operation \(at) of kinds \(operations.rawValue)" + (lasts ? " and from then on" : "")
      + (partly ? ", half arrives" : "")
  }
}

/// What is found on the disk when the machine is on again, of what was not synced.
public enum Survival: String, Sendable, CaseIterable {
  /// All: only the process died.
  case all
  case nothing
  /// Any of the writes, in whatever order they were made.
  case some
  /// Any of their sectors, and some of these scrambled.
  case torn
}
