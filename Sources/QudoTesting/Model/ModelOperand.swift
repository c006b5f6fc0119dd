/// An operand of a step and its possible values. The first value is the simplest. A value that is listed more
/// often is chosen more often.
struct ModelOperand: Sendable {
  let name: String
  let values: [String]

  init(_ name: String, _ values: String) {
    self.name = name
    self.values = values.split(separator: " ").map(String.init)
  }

  /// The number of bits that encode a value.
  var bits: Int { values.count > 1 ? Int.bitWidth - (values.count - 1).leadingZeroBitCount : 0 }
}

extension ModelOperand {
  static let driver = ModelOperand("driver", "first first second third")
  static let kind = ModelOperand("kind", "a b c a b a b c a d e f g h composed decomposed")
  /// The kinds of a claim without a `want` before it.
  static let claimed = ModelOperand("kinds", "all a b a+b b+a a+b+c c d+e+f")
  static let filter = ModelOperand("kinds", "any a a+b c d+e+f+g+h unknown none all")
  static let seconds = "0s 1us 1s 3s 5s 9s 20s 60s"
  static let limit = ModelOperand("limit", "10 0 1 2 3 5 80 -1")
  static let page = ModelOperand("limit", "1000 0 1 2 3 7 20 -1")
  static let expiry = ModelOperand("in", "1s 5s 5s 20s never past now+9s 1us")
  static let reason = ModelOperand("reason", "none step")
  static let jobs = ModelOperand("jobs", "newest 2nd oldest some twice gone newest 2nd")
  static let schedules = ModelOperand("name", "s s t u s+t u+t+s composed decomposed+composed")
  static let next = ModelOperand("next", "1s now past 5s 20s none 5s 3600s")
  static let rows = ModelOperand("ids", "any any any any all some gone none")
}
