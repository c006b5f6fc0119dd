/// Composes hooks, one per line, with `if` and `if else`, into one static type.
@resultBuilder
public enum HookBuilder {
  @inlinable public static func buildBlock() -> NoHooks { NoHooks() }
  @inlinable public static func buildPartialBlock<H: HookSet>(first: H) -> H { first }
  @inlinable public static func buildPartialBlock<A: HookSet, B: HookSet>(accumulated: A, next: B)
    -> _PairHook<A, B>
  {
    _PairHook(accumulated, next)
  }
  @inlinable public static func buildOptional<H: HookSet>(_ hook: H?) -> _OptionalHook<H> {
    _OptionalHook(hook)
  }
  @inlinable public static func buildEither<A: HookSet, B: HookSet>(first: A) -> _EitherHook<A, B> {
    .first(first)
  }
  @inlinable public static func buildEither<A: HookSet, B: HookSet>(second: B) -> _EitherHook<A, B> {
    .second(second)
  }
}
