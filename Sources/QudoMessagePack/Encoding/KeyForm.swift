/// Whether keys are numbers or text in a map.
struct KeyForm {
  private let areText: Bool

  /// - Parameters:
  ///   - keys: the type that the container was asked for with.
  ///   - value: the type that asked.
  init(_ keys: any Any.Type, of value: Any.Type?) {
    // The key type of all dictionaries has a number for each text that reads as one.
    guard keys == DictionaryKeys.type, let value = value as? any DictionaryType.Type else {
      areText = false
      return
    }
    areText = !value.hasNumbersForKeys
  }

  /// The number that stands for a key; nil if its text does.
  func number(of key: some CodingKey) -> Int? {
    guard !areText, let number = key.intValue else { return nil }
    // A key that was made from a text such as "007" stays that text.
    let text = key.stringValue
    return Int(text) == number && text != "\(number)" ? nil : number
  }
}

private protocol DictionaryType {
  static var hasNumbersForKeys: Bool { get }
}

extension Dictionary: DictionaryType {
  static var hasNumbersForKeys: Bool { Key.self == Int.self || Key.self is any RawRepresentable<Int>.Type }
}

/// Finds the standard library's key type of dictionaries, which has no public name.
private enum DictionaryKeys {
  static let type: (any Any.Type)? = {
    let probe = Probe()
    try? ["": 0].encode(to: probe)
    return probe.seen
  }()

  private final class Probe: Encoder {
    var seen: (any Any.Type)?
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
      seen = type
      return ValueEncoder(frame: EncodingNode(Output(), Session(), nil)).container(
        keyedBy: type, keys: KeyForm())
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
      ArrayEncoder(frame: EncodingNode(Output(), Session(), nil))
    }
    func singleValueContainer() -> any SingleValueEncodingContainer {
      ValueEncoder(frame: EncodingNode(Output(), Session(), nil))
    }
  }
}

extension KeyForm {
  fileprivate init() { areText = true }
}

extension ValueEncoder {
  fileprivate func container<Key: CodingKey>(keyedBy type: Key.Type, keys: KeyForm) -> KeyedEncodingContainer<
    Key
  > {
    frame.begin(.map)
    return KeyedEncodingContainer(MapEncoder(frame: frame, keys: keys))
  }
}
