extension Duration {
  /// `Duration(parsing:)` for the fuzzer, which is a package of its own.
  @_spi(Fuzzing)
  public static func parsed(_ text: String) throws(QudoError) -> Duration { try Duration(parsing: text) }
}
