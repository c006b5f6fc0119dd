/// The points in a job's life at which a hook is called.
///
/// A hook names its points in a constant, so that the optimizer removes the code for all other points.
public struct HookPoints: OptionSet, Sendable {
  public let rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Before a job is enqueued: ``HookSet/willEnqueue(_:)``.
  @inlinable public static var willEnqueue: Self { Self(rawValue: 1) }
  /// Before a job is stored: ``HookSet/serialize(_:)``.
  @inlinable public static var serialize: Self { Self(rawValue: 2) }
  /// After a job was enqueued: ``HookSet/didEnqueue(_:result:)``.
  @inlinable public static var didEnqueue: Self { Self(rawValue: 4) }
  /// After a worker claimed a job: ``HookSet/didClaim(_:)``.
  @inlinable public static var didClaim: Self { Self(rawValue: 8) }
  /// Before a stored job is run: ``HookSet/deserialize(_:)``.
  @inlinable public static var deserialize: Self { Self(rawValue: 16) }
  /// Before a run: ``HookSet/willWork(_:)``.
  @inlinable public static var willWork: Self { Self(rawValue: 32) }
  /// Around a run: ``HookSet/around(_:_:)``.
  @inlinable public static var around: Self { Self(rawValue: 64) }
  /// After a run: ``HookSet/didWork(_:)``.
  @inlinable public static var didWork: Self { Self(rawValue: 128) }
  /// After a failed run: ``HookSet/didFail(_:error:)``.
  @inlinable public static var didFail: Self { Self(rawValue: 256) }
  /// After a lease was lost: ``HookSet/leaseLost(_:)``.
  @inlinable public static var leaseLost: Self { Self(rawValue: 512) }
  /// After a claim gave up a job: ``HookSet/didGiveUp(_:database:)``.
  @inlinable public static var didGiveUp: Self { Self(rawValue: 1024) }
  /// After a job was enqueued in the application's own transaction:
  /// ``HookSet/didEnqueueInTransaction(_:result:)``.
  @inlinable public static var didEnqueueInTransaction: Self { Self(rawValue: 2048) }
  /// After the outcome of a run was written: ``HookSet/didSettle(_:)``.
  @inlinable public static var didSettle: Self { Self(rawValue: 4096) }
}
