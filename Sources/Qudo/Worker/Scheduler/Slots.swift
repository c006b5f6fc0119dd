/// A worker's slots: each is a task that runs jobs one after the other, of any source. It counts them, because each decision needs
/// the counts.
struct Slots {
  enum Slot {
    /// Without a task.
    case free
    /// With a task that waits for a job, or is about to ask for one.
    case waiting
    case running(ActiveRun)
    /// Its job, which was from this source, was settled while the run continues.
    case abandoned(source: Int)
  }

  private var slots: [Slot] = []
  /// The number of slots with a task, with or without a job.
  private(set) var active = 0
  private(set) var running = 0
  private(set) var abandoned = 0

  var indices: Range<Int> { slots.indices }
  /// The number of tasks that have no job.
  var waiting: Int { active - running - abandoned }

  /// The run of a slot; nil if it has none.
  func run(_ slot: Int) -> ActiveRun? {
    guard slots.indices.contains(slot), case .running(let run) = slots[slot] else { return nil }
    return run
  }

  /// The reason why a slot's run was stopped; nil if it was not.
  func stop(of slot: Int) -> StopReason? {
    if case .abandoned = slots[slot] { return .givenUp }
    return run(slot)?.stop
  }

  /// The runs, each with its slot.
  var runs: some Sequence<(slot: Int, run: ActiveRun)> {
    slots.indices.lazy.compactMap { slot in run(slot).map { (slot: slot, run: $0) } }
  }

  /// Gives a slot a task, which waits for a job.
  mutating func open() -> Int {
    active += 1
    let free = slots.firstIndex { if case .free = $0 { true } else { false } }
    guard let free else {
      slots.append(.waiting)
      return slots.count - 1
    }
    slots[free] = .waiting
    return free
  }

  /// Takes the task of a slot without a run.
  mutating func close(_ slot: Int) {
    slots[slot] = .free
    active -= 1
  }

  mutating func begin(_ slot: Int, _ run: ActiveRun) {
    slots[slot] = .running(run)
    running += 1
  }

  /// Changes a slot's run, if it has one.
  mutating func update(_ slot: Int, _ change: (inout ActiveRun) -> Void) {
    guard case .running(var run) = slots[slot] else { return }
    // No second reference to what the run holds, which would be copied otherwise.
    slots[slot] = .waiting
    change(&run)
    slots[slot] = .running(run)
  }

  /// The former content of a slot.
  enum Ended {
    case run(ActiveRun)
    /// A run that was abandoned before.
    case abandoned(source: Int)
  }

  /// Ends a slot's run. A task that was cancelled ends with it.
  mutating func end(_ number: Int) -> Ended? {
    // Moved out, not copied: what a run holds is not retained once more.
    var slot = Slot.waiting
    swap(&slot, &slots[number])
    switch slot {
    case .running(let run):
      running -= 1
      if run.stop != nil { close(number) }
      return .run(run)
    case .abandoned(let source):
      abandoned -= 1
      close(number)
      return .abandoned(source: source)
    case .free, .waiting:
      slots[number] = slot
      return nil
    }
  }

  /// Gives up waiting for a slot's run, which keeps its task.
  mutating func abandon(_ slot: Int) -> ActiveRun? {
    guard let run = run(slot) else { return nil }
    slots[slot] = .abandoned(source: run.source)
    running -= 1
    abandoned += 1
    return run
  }
}

/// A run of a job in a slot.
struct ActiveRun {
  var held: HeldJob
  /// The source that the job is from.
  let source: Int
  /// The time to cancel the run; after that, the time to stop waiting for it.
  var deadline = Int64.max
  let beganAt: Int64
  /// Why the run's task was cancelled; nil if it was not. It ends with this run, and a new task replaces it.
  var stop: StopReason?
  /// The application's own transaction completes the job, and may or may not be committed.
  var mayBeCompletedExternally = false
}
