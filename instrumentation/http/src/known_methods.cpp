#include "known_methods.hpp"

#include "text.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <cstdlib>

namespace weft::http::detail {

KnownMethods::KnownMethods(std::vector<std::string> methods) : methods_(std::move(methods)) {
    if (!methods_.empty()) { return; }
    constexpr std::string_view name = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
    const char* const variable = std::getenv(name.data());
    const std::string_view value = variable == nullptr ? "" : variable;
    std::string left_out;
    for (std::string_view left = value; !left.empty();) { // Bound: each turn takes an element off.
        const auto method = trim(take_until(left, ','));
        if (is_token(method)) {
            methods_.emplace_back(method);
        } else if (!method.empty()) {
            left_out += left_out.empty() ? "\"" : ", \"";
            left_out.append(method).append("\"");
        }
    }
    if (!left_out.empty()) {
        std::string line(name);
        line.append("=\"")
            .append(printable(value, 200))
            .append("\": allowed is a list of request methods such as ");
        line.append("GET,POST; left out: ").append(printable(left_out, 200));
        diagnostics().report(
            DiagnosticLevel::warning, line, line); // Keyed by itself, for all servers and clients.
    }
    if (methods_.empty()) {
        methods_ = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"};
    }
}

} // namespace weft::http::detail
