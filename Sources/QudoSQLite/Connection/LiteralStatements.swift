/// The prepared statements of a connection by the address of their SQL, which is a literal of the program.
///
/// Each job runs a dozen statements, and a `Dictionary` would take more time to find them than to bind their values. This is a hash table
/// with few probes in memory of its own: a lookup is a multiplication, a load and a comparison, without a dynamic check of exclusive
/// access. A literal that finds no place replaces another one, which is then looked up by its text.
struct LiteralStatements: ~Copyable {
  private struct Slot {
    let literal: UnsafePointer<UInt8>
    let statement: Statement
  }

  private let slots: UnsafeMutablePointer<Slot?>
  private let mask: Int
  private static let probes = 8

  /// - Parameter isSmall: Whether the connection lives for one call only, which a large table would make dearer.
  init(isSmall: Bool) {
    // More than an enqueue uses, or about four times as many as a worker does.
    let count = isSmall ? 16 : 256
    mask = count - 1
    slots = .allocate(capacity: count)
    slots.initialize(repeating: nil, count: count)
  }

  // No slot refers to an object.
  deinit { slots.deallocate() }

  /// - Returns: Where a literal is looked for first. The highest bits of a product with the golden ratio depend on all of the address.
  @inline(__always)
  private func place(_ literal: UnsafePointer<UInt8>) -> Int {
    Int(truncatingIfNeeded: (UInt64(UInt(bitPattern: literal)) &* 0x9E37_79B9_7F4A_7C15) >> 56)
  }

  @inline(__always)
  func statement(_ literal: UnsafePointer<UInt8>) -> Statement? {
    let place = place(literal)
    if let slot = slots[place & mask], slot.literal == literal { return slot.statement }
    return statement(literal, after: place)
  }

  @inline(never)
  private func statement(_ literal: UnsafePointer<UInt8>, after place: Int) -> Statement? {
    for probe in 1..<Self.probes {
      guard let slot = slots[(place + probe) & mask] else { return nil }
      if slot.literal == literal { return slot.statement }
    }
    return nil
  }

  func insert(_ statement: Statement, for literal: UnsafePointer<UInt8>) {
    let places = (0..<Self.probes).map { (place(literal) + $0) & mask }
    let free = places.first { slots[$0] == nil } ?? places[0]
    slots[free] = Slot(literal: literal, statement: statement)
  }

  func removeAll() { slots.update(repeating: nil, count: mask + 1) }
}
