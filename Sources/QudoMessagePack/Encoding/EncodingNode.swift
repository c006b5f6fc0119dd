/// The state that one call of the codec shares: an error that occurred where `Encoder` cannot throw.
final class Session {
  var failure: EncodingError?
  /// Frames that hold each other: they are separated at the end, so that nothing is left in memory.
  private var parents: [EncodingNode] = []

  func add(_ parent: EncodingNode) { parents.append(parent) }

  func end() {
    for frame in parents { frame.letGo() }
    parents = []
  }
}

/// A value while it is encoded. Its bytes are the end of its output.
///
/// Values inside it are written behind it, one after the other. What the type asked a container for and may fill at any
/// time (`nestedContainer`, `superEncoder`) has its own output, which is put in its place at the end.
final class EncodingNode {
  enum State { case empty, scalar, array, map }

  struct Entry {
    /// The offset of the pair.
    var key: Int
    /// Of a key that is a number.
    var number: Int?
    /// The text of a key that is none.
    var text: Range<Int>
    /// The bytes to put behind the key.
    var child: EncodingNode?
  }

  let output: Output
  let session: Session
  let depth: Int
  /// The frame that this one is in, and where there.
  let parent: EncodingNode?
  let place: PathKey?
  let start: Int
  var state = State.empty
  /// The type of the value, to know what its keys are.
  var type: Any.Type?
  /// Of a map.
  var entries: [Entry] = []
  /// Of an array: how many elements, and those that are put in at the end, with their places in the output.
  var count = 0
  var children: [(place: Int, frame: EncodingNode)] = []
  /// Whether a value inside is being written: nothing else may be.
  var isBusy = false
  var isFinished = false

  init(_ output: Output, _ session: Session, _ parent: EncodingNode?, at place: PathKey? = nil) {
    self.output = output
    self.session = session
    self.parent = parent
    self.place = place
    depth = (parent?.depth ?? 0) + 1
    start = output.bytes.count
  }

  func letGo() {
    entries = []
    children = []
  }

  var path: [any CodingKey] { (parent?.path ?? []) + (place.map { [$0] } ?? []) }

  /// Makes the value an array or map. Called again for another container of the same value.
  func begin(_ new: State) {
    guard state != new || isFinished else { return }
    guard state == .empty, !isFinished, !isBusy else { return fail("a value has more than one form") }
    guard depth <= MessagePackCodec.depthLimit else {
      return fail("arrays and maps are nested deeper than \(MessagePackCodec.depthLimit)")
    }
    state = new
    // In place of the head, which is known at the end.
    output.bytes.append(0)
  }

  func fail(_ words: String) {
    if session.failure == nil { session.failure = .invalidValue(type ?? Any.self, context(words)) }
  }

  func context(_ words: String) -> EncodingError.Context { .init(codingPath: path, debugDescription: words) }

  /// Before anything is written: no failure, and it is this frame's turn.
  func check() throws {
    if isBusy || isFinished {
      fail("a container is used after its value was encoded, or while a value in it is")
    }
    if let failure = session.failure { throw failure }
  }

  /// Writes a value that is in one piece.
  func scalar(_ write: (Output) -> Bool) throws {
    if state != .empty { fail("a value has more than one form") }
    try check()
    state = .scalar
    try put(write)
  }

  func put(_ write: (Output) -> Bool) throws {
    if !write(output) { fail("a value is longer than MessagePack allows, 4 GiB") }
    if let failure = session.failure { throw failure }
  }

  /// A frame for a value in this one, and the value in it. If that throws, nothing of it is left: the type may
  /// continue.
  func nested(at place: PathKey, _ body: (EncodingNode) throws -> Void) throws {
    let frame = EncodingNode(output, session, self, at: place)
    isBusy = true
    defer { isBusy = false }
    do {
      try body(frame)
      try frame.finish()
    } catch {
      frame.isFinished = true
      output.bytes.removeSubrange(frame.start...)
      throw error
    }
  }
}
