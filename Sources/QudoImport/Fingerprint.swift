internal import Qudo
internal import QudoSQLSupport

/// A 64-bit FNV-1a hash of the values in an old row that never change, used to recognize the row.
///
/// The hash is stored in the file, so its definition must not change.
struct Fingerprint {
  private var value: UInt64 = 0xcbf2_9ce4_8422_2325

  /// Leaves out a job's times and retry count, which each grab changes, and a failure's flag, which a replay changes.
  init(_ row: PerlRow) {
    add(row.kind.name)
    switch row.content {
    case .kind: break
    case .job(let job): add(job.payload, job.uniqueKey)
    case .failure(let failure):
      add(failure.payload, failure.uniqueKey)
      add(failure.failed)
      add(failure.message)
    case .status(let status):
      add(status.payload, status.uniqueKey)
      add(status.started)
      add(status.ended)
      add(status.status.number)
    }
  }

  var number: Int64 { Int64(bitPattern: value) }

  private mutating func add(_ payload: Payload, _ uniqueKey: String?) {
    add(payload.bytes)
    add(uniqueKey == nil ? 0 : 1)
    add(uniqueKey ?? "")
  }

  private mutating func add(_ text: String) { add(Array(text.utf8)) }

  private mutating func add(_ bytes: [UInt8]) {
    add(Int64(bytes.count))
    for byte in bytes { mix(byte) }
  }

  private mutating func add(_ number: Int64) {
    for shift in stride(from: 0, to: 64, by: 8) { mix(UInt8(truncatingIfNeeded: number >> Int64(shift))) }
  }

  private mutating func mix(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
