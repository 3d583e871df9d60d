#pragma once
// The few fields of a Span message that these tests ask for, read with protozero alone.

#include <weft/testing/span_sink.hpp>

#include <protozero/pbf_reader.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weft::testing {

/// The messages (or texts) of a repeated length-delimited field, in order.
[[nodiscard]] inline std::vector<std::string> messages(
    const std::string& message, std::uint32_t tag) {
    std::vector<std::string> found;
    for (protozero::pbf_reader fields(message); fields.next();) {
        if (fields.tag() == tag) {
            found.push_back(fields.get_string());
        } else {
            fields.skip();
        }
    }
    return found;
}
[[nodiscard]] inline std::vector<std::string> messages(const SunkSpan& span, std::uint32_t tag) {
    return messages(span.message, tag);
}

/// A varint field; 0 when absent.
[[nodiscard]] inline std::uint64_t number(const std::string& message, std::uint32_t tag) {
    std::uint64_t value = 0;
    for (protozero::pbf_reader fields(message); fields.next();) {
        if (fields.tag() == tag) {
            value = fields.get_uint64();
        } else {
            fields.skip();
        }
    }
    return value;
}
[[nodiscard]] inline std::uint64_t number(const SunkSpan& span, std::uint32_t tag) {
    return number(span.message, tag);
}

/// String attributes by key; of other types, the text is empty.
[[nodiscard]] inline std::map<std::string, std::string> attributes_of(
    const std::string& message, std::uint32_t tag) {
    std::map<std::string, std::string> found;
    for (const auto& pair : messages(message, tag)) {
        const auto value = messages(pair, 2);
        const auto text = value.empty() ? value : messages(value.front(), 1);
        found[messages(pair, 1).front()] = text.empty() ? "" : text.front();
    }
    return found;
}
[[nodiscard]] inline std::map<std::string, std::string> attributes_of(const SunkSpan& span) {
    return attributes_of(span.message, 9);
}

struct DecodedStatus {
    std::uint64_t code = 0;
    std::string text;
    friend bool operator==(const DecodedStatus&, const DecodedStatus&) = default;
};
[[nodiscard]] inline DecodedStatus status_of(const SunkSpan& span) {
    const auto status = messages(span, 15);
    if (status.empty()) { return {}; }
    const auto text = messages(status.front(), 2);
    return {number(status.front(), 3), text.empty() ? "" : text.front()};
}

} // namespace weft::testing
