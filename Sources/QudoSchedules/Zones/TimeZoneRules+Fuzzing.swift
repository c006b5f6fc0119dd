public import Qudo

extension TimeZoneRules {
  /// The parser of a zone's file for the fuzzer, which is a separate package.
  @_spi(Fuzzing)
  public static func parsed(_ file: [UInt8]) throws(QudoError) -> TimeZoneRules {
    try TimeZoneRules(name: "fuzz", file: file)
  }
}
