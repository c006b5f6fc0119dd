import Foundation
import Qudo
import QudoMessagePack

let codec = MessagePackCodec()

func encode(_ value: some Encodable) throws -> [UInt8] { try codec.encode(value, of: "a") }

func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
  try codec.decode(type, from: bytes, of: "a")
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

/// What a queue would say of bytes that do not decode; nil if they do.
func message<Value: Decodable>(_ type: Value.Type, _ hex: String) -> String? {
  do {
    _ = try Codecs(codec).decode(type, from: Payload(bytes(hex), codec: .messagePack), of: "a")
    return nil
  } catch {
    let text = "\(error)"
    let start = "the payload is not MessagePack for \(type): "
    return text.hasPrefix(start) ? String(text.dropFirst(start.count)) : text
  }
}

/// Any value, by trying.
indirect enum Tree: Codable, Hashable {
  case null, bool(Bool), int(Int64), large(UInt64), double(Double), text(String), binary([UInt8]), date(Date)
  case array([Tree])
  case map([Key: Tree])

  struct Key: CodingKey, Hashable {
    var stringValue: String
    var intValue: Int?
    init(stringValue: String) { self.stringValue = stringValue }
    init(intValue: Int) { (stringValue, self.intValue) = ("\(intValue)", intValue) }
  }

  init(from decoder: any Decoder) throws {
    let one = try decoder.singleValueContainer()
    if one.decodeNil() {
      self = .null
    } else if let value = try? one.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? one.decode(Int64.self) {
      self = .int(value)
    } else if let value = try? one.decode(UInt64.self) {
      self = .large(value)
    } else if let value = try? one.decode(Double.self) {
      self = .double(value)
    } else if let value = try? one.decode(String.self) {
      self = .text(value)
    } else if let value = try? one.decode(Date.self) {
      self = .date(value)
    } else if var list = try? decoder.unkeyedContainer() {
      var elements: [Tree] = []
      while !list.isAtEnd { elements.append(try list.decode(Tree.self)) }
      self = .array(elements)
    } else if let map = try? decoder.container(keyedBy: Key.self) {
      self = .map(
        Dictionary(uniqueKeysWithValues: try map.allKeys.map { ($0, try map.decode(Tree.self, forKey: $0)) }))
    } else {
      self = .binary(try one.decode([UInt8].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var one = encoder.singleValueContainer()
    switch self {
    case .null: try one.encodeNil()
    case .bool(let value): try one.encode(value)
    case .int(let value): try one.encode(value)
    case .large(let value): try one.encode(value)
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
