extension Duration {
  /// `Duration(parsing:)` for the fuzzer, which is a separate package.
  @_spi(Fuzzing)
  public static func parsed(_ text: String) throws(QudoError) -> Duration { try Duration(parsing: text) }
}
