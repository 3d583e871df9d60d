#pragma once
#include <cstdint>

namespace weft {

/// How request bodies are encoded. JSON is for receivers that take nothing else: it costs a pass over each batch and about
/// three times the bytes before compression.
enum class OtlpEncoding : std::uint8_t { protobuf, json };

} // namespace weft
