public import Qudo

/// The offsets of a time zone from UTC, in the past and the future, from the system's time zone database.
///
/// For example:
///
///     let berlin = try TimeZoneRules(named: "Europe/Berlin")
///
/// The initializer reads a file of a few kilobytes. Keep the value; make a new one to see a changed database.
///
/// The type reads the system's TZif files and does not use Foundation's `TimeZone`, which adds 50 MB to a
/// static binary: the article <doc:Cron> has the measurements.
public struct TimeZoneRules: Sendable, Hashable {
  /// The name, such as `Europe/Berlin`.
  public let name: String
  let table: OffsetTable

  /// Coordinated Universal Time, which needs no database.
  public static let utc = TimeZoneRules(name: "UTC", table: OffsetTable(offset: 0))

  /// Reads the rules of a time zone from the system's database.
  ///
  /// The database is the folder that the environment variable `TZDIR` names, or `/usr/share/zoneinfo` and the
  /// other usual folders. `UTC` needs no database.
  ///
  /// - Parameter name: The name in the database, such as `Europe/Berlin`; case matters. It may come from
  ///   untrusted input: no name reads a file outside the database.
  /// - Throws: ``/Qudo/QudoError/Code/invalidArgument`` if there is no such zone,
  ///   ``/Qudo/QudoError/Code/cannotOpen`` if the system has no time zone database or refuses access to it,
  ///   ``/Qudo/QudoError/Code/corrupt`` if the file of the zone is damaged.
  public init(named name: String) throws(QudoError) {
    if name == Self.utc.name {
      self = .utc
    } else {
      try self.init(name: name, file: try ZoneDatabase.system().file(named: name))
    }
  }

  /// - Throws: ``QudoError/Code/corrupt`` if the bytes are not a TZif file.
  init(name: String, file: [UInt8]) throws(QudoError) {
    do {
      self.init(name: name, table: try TZif(file).table)
    } catch {
      throw QudoError(
        .corrupt,
        "the file of the time zone \(name) is damaged (\(error.problem)): reinstall the package tzdata")
    }
  }

  private init(name: String, table: OffsetTable) {
    self.name = name
    self.table = table
  }

  /// Returns the offset from UTC at `time`, positive east of Greenwich: 2 hours in Berlin in summer.
  public func offset(at time: Timestamp) -> Duration {
    let time = min(max(time, .earliest), .latest)
    return .seconds(period(at: time.microseconds.flooredQuotient(by: 1_000_000)).offset)
  }
}

extension TimeZoneRules: CustomStringConvertible {
  /// The name.
  public var description: String { name }
}

extension TimeZoneRules {
  /// The offsets that a TZif file may have, in seconds.
  static let offsets: ClosedRange<Int64> = -93_599...93_600

  func period(at second: Int64) -> OffsetPeriod { table.period(at: second) }

  /// The highest reading of the clock until `second`; not its current one if the clock was set back not long
  /// ago.
  func highestReading(through second: Int64) -> Int64 {
    var period = period(at: second)
    var highest = second + period.offset
    // An earlier reading can be higher by the difference of two offsets at most.
    let longest = Self.offsets.upperBound - Self.offsets.lowerBound
    while period.start > second - longest {
      let end = period.start - 1
      period = self.period(at: end)
      highest = max(highest, end + period.offset)
    }
    return highest
  }

  /// The first second at which the clock shows `reading` or something later.
  func firstSecond(reaching reading: Int64) -> Int64 {
    var period = period(at: reading - Self.offsets.upperBound)
    while true {
      let second = max(period.start, reading - period.offset)
      if second < period.end { return second }
      period = self.period(at: period.end)
    }
  }
}
