#pragma once
#include <weft/exporters/batch.hpp>

#include <string>

namespace weft::detail {

/// A line for each span, metric point or log record, and one below it for each event and link of a span. Text from
/// outside is printable UTF-8 on its line, so that it cannot reach the terminal. Empty if the body is no request.
/// Errors: std::bad_alloc.
[[nodiscard]] std::string console_text(const Batch& batch);

} // namespace weft::detail
