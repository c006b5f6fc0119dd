import Evidence
import Qudo
import Testing

/// What is at work at the same time inside one process, with threads and tasks that give way, by a seed, wherever a lock, a
/// continuation or a thread changes hands: see `Interleaving`. One scenario after the other, as the seed is the process's.
@Suite(.serialized, .timeLimit(.minutes(60))) enum Interleavings {
  #if !QUDO_INTERLEAVINGS
  @Test(
    .disabled(
      "nobody gives way in this build: swift test -Xswiftc -DQUDO_INTERLEAVINGS has points where threads and tasks do"
    ))
  static func nobodyGivesWayWithoutAFlag() {}
  #endif
}
