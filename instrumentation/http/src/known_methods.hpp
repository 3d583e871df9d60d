#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace weft::http::detail {

/// The request methods that may appear in names and attributes; any other could be an attacker's invention.
/// Source: OpenTelemetry HTTP semantic conventions, "http.request.method".
class KnownMethods {
public:
    /// Empty: the environment's list, else the conventions'.
    explicit KnownMethods(std::vector<std::string> methods);

    [[nodiscard]] bool contains(std::string_view method) const noexcept {
        for (const auto& known : methods_) {
            if (known == method) { return true; }
        }
        return false;
    }

private:
    std::vector<std::string> methods_;
};

} // namespace weft::http::detail
