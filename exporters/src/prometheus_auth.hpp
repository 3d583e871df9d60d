#pragma once
#include <weft/exporters/prometheus_options.hpp>
#include <weft/runtime/authorization.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

enum class AuthVerdict : std::uint8_t {
    allowed,
    unknown,  ///< Nothing, or nothing right, was shown: 401.
    forbidden ///< Who it is, is known; but it may not: 403.
};

/// What a scraper shows of itself.
struct ScraperIdentity {
    std::string_view authorization; ///< The header, empty if there is none.
    bool has_certificate = false;   ///< A client certificate that was verified.
    std::string_view subject;       ///< Of it.
};

/// Decides who may scrape. Threads: any.
class PrometheusAuth {
public:
    /// Errors: std::invalid_argument: password_file cannot be read or is empty.
    explicit PrometheusAuth(const PrometheusAuthOptions& options);

    [[nodiscard]] AuthVerdict check(const ScraperIdentity& who) const;
    /// For WWW-Authenticate; empty if no credentials are asked for.
    [[nodiscard]] std::string challenge() const { return authorization_.challenge("metrics"); }

private:
    Authorization authorization_;
    std::vector<std::string> subjects_;
};

/// The part of the options that has nothing to do with certificates.
[[nodiscard]] AuthorizationOptions authorization_in(const PrometheusAuthOptions& options);

} // namespace weft::detail
