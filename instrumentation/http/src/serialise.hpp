#pragma once
#include <weft/http/response.hpp>

#include <string>
#include <string_view>

namespace weft::http::detail {

struct HeadOptions {
    int version = 11;
    bool keep_alive = true;
};

/// Writes status line and fields, to the empty line.
void write_head(std::string& out, const Response& response, HeadOptions options);

/// True for statuses that never have a body.
[[nodiscard]] bool has_no_body(int status) noexcept;

/// A short answer that says what the status means.
[[nodiscard]] Response status_response(int status);

/// The phrase of a status; "Unknown" for one without.
[[nodiscard]] std::string_view reason_of(int status) noexcept;

} // namespace weft::http::detail
