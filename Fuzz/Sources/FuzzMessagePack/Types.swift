import Foundation

/// Several forms of types at once.
struct Shape: Codable {
  enum Sort: Codable {
    case point
    case circle(radius: Double)
    indirect case both(Shape, Shape?)
  }
  var sort: Sort
  var made: Date?
  var names: [String: UInt16]
  var blob: Data?
  var link: URL?
}

/// Any value, by trying.
indirect enum Tree: Codable {
  case null, bool(Bool), int(Int64), large(UInt64), float(Float), double(Double), text(String), binary(
    [UInt8]), date(Date)
  case array([Tree])
  case map([(Key, Tree)])

  struct Key: CodingKey {
    var stringValue: String
    var intValue: Int?
    init(stringValue: String) { self.stringValue = stringValue }
    init(intValue: Int) { (stringValue, self.intValue) = ("\(intValue)", intValue) }
  }

  init(from decoder: any Decoder) throws {
    let one = try decoder.singleValueContainer()
    if one.decodeNil() { self = .null; return }
    if let list = try? decoder.unkeyedContainer() { self = .array(try Self.elements(list)); return }
    if let map = try? decoder.container(keyedBy: Key.self) {
      self = .map(try map.allKeys.map { ($0, try map.decode(Tree.self, forKey: $0)) })
      return
    }
    if let value = try? one.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? one.decode(Int64.self) {
      self = .int(value)
    } else if let value = try? one.decode(UInt64.self) {
      self = .large(value)
    } else if let value = try? one.decode(Float.self), let double = try? one.decode(Double.self),
      Double(value) == double
    {
      self = .float(value)
    } else if let value = try? one.decode(Double.self) {
      self = .double(value)
    } else if let value = try? one.decode(String.self) {
      self = .text(value)
    } else if let value = try? one.decode(Date.self) {
      self = .date(value)
    } else {
      self = .binary(try one.decode([UInt8].self))
    }
  }

  private static func elements(_ list: any UnkeyedDecodingContainer) throws -> [Tree] {
    var list = list
    var elements: [Tree] = []
    while !list.isAtEnd { elements.append(try list.decode(Tree.self)) }
    return elements
  }

  func encode(to encoder: any Encoder) throws {
    var one = encoder.singleValueContainer()
    switch self {
    case .null: try one.encodeNil()
    case .bool(let value): try one.encode(value)
    case .int(let value): try one.encode(value)
    case .large(let value): try one.encode(value)
    case .float(let value): try one.encode(value)
    case .double(let value): try one.encode(value)
    case .text(let value): try one.encode(value)
    case .binary(let value): try one.encode(value)
    case .date(let value): try one.encode(value)
    case .array(let elements): try one.encode(elements)
    case .map(let pairs):
      var map = encoder.container(keyedBy: Key.self)
      for (key, value) in pairs { try map.encode(value, forKey: key) }
    }
  }
}
