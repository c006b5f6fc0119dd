/// The text format of OpenMetrics 1.0.
struct OpenMetrics {
  enum Kind: String { case gauge, counter }

  /// A metric family. Its samples stand together, as the format demands.
  struct Family {
    let name: String
    let kind: Kind
    /// The unit, with which the name ends.
    var unit: String?
    let help: String
    fileprivate var samples: [String] = []

    init(_ name: String, _ kind: Kind = .gauge, unit: String? = nil, help: String) {
      (self.name, self.kind, self.unit, self.help) = (name, kind, unit, help)
    }

    mutating func add(_ value: Int64, _ labels: (String, String)...) { add("\(value)", labels) }
    mutating func add(seconds: Double, _ labels: (String, String)...) { add("\(seconds)", labels) }

    private mutating func add(_ value: String, _ labels: [(String, String)]) {
      let list = labels.map { "\($0.0)=\"\(OpenMetrics.escaped($0.1))\"" }.joined(separator: ",")
      samples.append("\(name)\(kind == .counter ? "_total" : ""){\(list)} \(value)\n")
    }
  }

  /// Returns the families that have samples, and the end mark.
  static func text(_ families: [Family]) -> String {
    var text = ""
    for family in families where !family.samples.isEmpty {
      text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
      if let unit = family.unit { text += "# UNIT \(family.name) \(unit)\n" }
      text += "# HELP \(family.name) \(escaped(family.help))\n"
      text += family.samples.joined()
    }
    return text + "# EOF\n"
  }

  /// Escapes the three characters that the format does not take as they are.
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
