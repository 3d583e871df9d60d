#include "known_methods.hpp"

#include "text.hpp"

#include <cstdlib>

namespace weft::http::detail {

KnownMethods::KnownMethods(std::vector<std::string> methods) : methods_(std::move(methods)) {
    if (!methods_.empty()) { return; }
    const char* variable = std::getenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS");
    for (std::string_view left = variable == nullptr ? "" : variable; !left.empty();) {
        const auto method = trim(take_until(left, ','));
        if (!method.empty()) { methods_.emplace_back(method); }
    }
    if (methods_.empty()) {
        methods_ = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"};
    }
}

} // namespace weft::http::detail
