#pragma once
#include <weft/exporters/batch.hpp>
#include <weft/runtime/signal.hpp>

#include <string>
#include <string_view>

namespace weft::detail {

/// Appends a request as OTLP/JSON: one line, no line break inside, keys in lowerCamelCase and in the order of their field
/// numbers, ids in lowercase hex, enums and 32-bit integers as numbers, 64-bit integers as strings. Text that is not UTF-8
/// gets U+FFFD; what nests deeper than 100 messages, the limit of most receivers, becomes {}; fields that are not in the
/// schema are left out. `body` is an Export<Signal>ServiceRequest, or the <Signal>Data of the same shape.
/// Errors: false if the bytes are no Protobuf, with `out` as it was; std::bad_alloc. Cost: two passes, no object model.
/// Source: OTLP specification, "JSON Protobuf Encoding".
[[nodiscard]] bool append_otlp_json(std::string& out, Signal signal, std::string_view body);

/// As above, of a finished batch. Errors: empty if the body is no Protobuf; std::bad_alloc.
[[nodiscard]] std::string otlp_json(const Batch& batch);

} // namespace weft::detail
