#pragma once
#include <weft/runtime/signal.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weft::detail {

/// Makes a span or log record fit by cutting its longest texts: the string and bytes values of its attributes and of its
/// events' attributes, and a log's body. All of them are cut to one length, the longest that makes the record fit, so that
/// short values stay whole; strings are cut between characters. Each value cut counts as one in the
/// `dropped_attributes_count` of what it belongs to, a body in that of its record.
/// Nothing if that is not enough, or the signal is metrics: a point with other attributes would be another series.
/// Errors: protozero::exception if the bytes are no Protobuf; std::bad_alloc.
[[nodiscard]] std::optional<std::string> shorten_record(
    Signal signal, std::string_view record, std::size_t bytes_max);

} // namespace weft::detail
