/// The points of a job's life that a hook hears of.
///
/// A hook names its points in a constant, which the optimiser folds: what nobody hears of is not made.
public struct HookPoints: OptionSet, Sendable {
  public let rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// ``HookSet/willEnqueue(_:)``
  @inlinable public static var willEnqueue: Self { Self(rawValue: 1) }
  /// ``HookSet/serialize(_:)``
  @inlinable public static var serialize: Self { Self(rawValue: 2) }
  /// ``HookSet/didEnqueue(_:result:)``
  @inlinable public static var didEnqueue: Self { Self(rawValue: 4) }
  /// ``HookSet/didClaim(_:)``
  @inlinable public static var didClaim: Self { Self(rawValue: 8) }
  /// ``HookSet/deserialize(_:)``
  @inlinable public static var deserialize: Self { Self(rawValue: 16) }
  /// ``HookSet/willWork(_:)``
  @inlinable public static var willWork: Self { Self(rawValue: 32) }
  /// ``HookSet/around(_:_:)``
  @inlinable public static var around: Self { Self(rawValue: 64) }
  /// ``HookSet/didWork(_:)``
  @inlinable public static var didWork: Self { Self(rawValue: 128) }
  /// ``HookSet/didFail(_:error:)``
  @inlinable public static var didFail: Self { Self(rawValue: 256) }
  /// ``HookSet/leaseLost(_:)``
  @inlinable public static var leaseLost: Self { Self(rawValue: 512) }
  /// ``HookSet/didGiveUp(_:database:)``
  @inlinable public static var didGiveUp: Self { Self(rawValue: 1024) }
  /// ``HookSet/didEnqueueInTransaction(_:_:)``
  @inlinable public static var didEnqueueInTransaction: Self { Self(rawValue: 2048) }
}
