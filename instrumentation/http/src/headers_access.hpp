#pragma once
#include <weft/http/headers.hpp>

namespace weft::http::detail {

/// Adds fields that a parser has checked already.
class HeadersAccess {
public:
    static bool append(Headers& headers, std::string_view name, std::string_view value) {
        return headers.append(name, value);
    }
};

} // namespace weft::http::detail
