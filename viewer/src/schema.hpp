#pragma once
#include <google/protobuf/descriptor.h>

namespace weft::otlp {

/// True for the bytes fields that OTLP/JSON writes as hex rather than base64.
[[nodiscard]] inline bool is_id(const google::protobuf::FieldDescriptor& field) {
    if (field.type() != google::protobuf::FieldDescriptor::TYPE_BYTES) { return false; }
    const auto& name = field.name();
    return name == "trace_id" || name == "span_id" || name == "parent_span_id";
}

} // namespace weft::otlp
