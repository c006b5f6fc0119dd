#if Compression
internal import CZlib

/// zlib in one call, with a maximum size for the output.
enum Zlib {
  static func compress(_ bytes: [UInt8], level: Int) throws -> [UInt8] {
    var status = Z_OK
    let compressed = [UInt8](unsafeUninitializedCapacity: Int(compressBound(uLong(bytes.count)))) {
      buffer, count in
      var length = uLong(buffer.count)
      status = compress2(buffer.baseAddress, &length, bytes, uLong(bytes.count), Int32(level))
      count = status == Z_OK ? Int(length) : 0
    }
    guard status == Z_OK else {
      throw CompressionError("zlib cannot compress \(bytes.count) bytes: status \(status)")
    }
    return compressed
  }

  /// - Parameter start: where the zlib stream begins; it must end with the bytes.
  static func decompress(_ bytes: [UInt8], from start: Int, limit: Int) throws -> [UInt8] {
    var stream = z_stream()
    // What the macro `inflateInit` does.
    guard inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw CompressionError("zlib cannot begin: out of memory?")
    }
    defer { inflateEnd(&stream) }
    var input = bytes
    return try input.withUnsafeMutableBufferPointer { input in
      stream.next_in = input.baseAddress.map { $0 + start }
      // zlib counts in 32 bits. A payload of 4 GiB would not have come this far.
      guard let count = UInt32(exactly: input.count - start) else {
        throw CompressionError("byte 0: the payload is too long")
      }
      stream.avail_in = count
      return try inflated(&stream, limit: limit) { start + Int(count - $0.avail_in) }
    }
  }

  /// - Parameter byte: how far the payload has been read.
  private static func inflated(_ stream: inout z_stream, limit: Int, byte: (z_stream) -> Int) throws
    -> [UInt8]
  {
    var output: [UInt8] = []
    while true {
      // No more room than the bytes that are there make likely: growing with what has come out.
      let room = min(max(output.count, 4 * Int(stream.avail_in), 1024), limit - output.count + 1, 1 << 30)
      var status = Z_OK
      let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        stream.next_out = buffer.baseAddress
        stream.avail_out = UInt32(room)
        status = inflate(&stream, Z_NO_FLUSH)
        count = room - Int(stream.avail_out)
      }
      output += chunk
      guard output.count <= limit else {
        throw CompressionError(
          "byte \(byte(stream)): it decompresses to more than the limit of \(limit) bytes")
      }
      switch status {
      case Z_STREAM_END where stream.avail_in == 0: return output
      case Z_STREAM_END: throw CompressionError("byte \(byte(stream)): bytes follow the compressed data")
      case Z_OK where stream.avail_in > 0 || stream.avail_out == 0: continue
      case Z_OK, Z_BUF_ERROR:
        throw CompressionError("byte \(byte(stream)): the compressed data ends too early")
      case Z_MEM_ERROR: throw CompressionError("zlib is out of memory")
      default: throw CompressionError("byte \(byte(stream)): the compressed data is damaged\(words(stream))")
      }
    }
  }

  /// zlib's own words: texts in its code, never data.
  private static func words(_ stream: z_stream) -> String {
    stream.msg.map { ": " + String(cString: $0) } ?? ""
  }
}
#endif
