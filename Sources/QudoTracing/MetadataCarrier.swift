#if Tracing
internal import Qudo
internal import Tracing

/// Reads and writes a trace's context in a job's metadata, by the names that the instrument uses: `traceparent` for
/// instance.
struct MetadataCarrier: Injector, Extractor {
  func inject(_ value: String, forKey key: String, into carrier: inout JobMetadata) { carrier[key] = value }
  func extract(key: String, from carrier: JobMetadata) -> String? { carrier[key] }
}
#endif
