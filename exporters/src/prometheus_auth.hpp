#pragma once
#include <weft/exporters/prometheus_options.hpp>

#include <array>
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

/// Decides who may scrape. Only keyed digests of the secrets are kept, and compared in constant time, so that neither
/// what they are nor how long they are can be measured.
/// Threads: any.
class PrometheusAuth {
public:
    /// Errors: std::invalid_argument: password_file cannot be read or is empty.
    explicit PrometheusAuth(const PrometheusAuthOptions& options);

    [[nodiscard]] AuthVerdict check(const ScraperIdentity& who) const;
    [[nodiscard]] bool takes_basic() const noexcept { return has_basic_; }
    [[nodiscard]] bool takes_bearer() const noexcept { return !tokens_.empty(); }

private:
    using Digest = std::array<unsigned char, 32>;
    [[nodiscard]] Digest digest(std::string_view text) const;
    [[nodiscard]] static bool equal(const Digest& a, const Digest& b) noexcept;

    std::array<unsigned char, 32> key_{}; // Random, of this object.
    bool has_basic_ = false;
    Digest basic_{}; // Of "user:password".
    std::vector<Digest> tokens_;
    std::vector<std::string> subjects_;
};

} // namespace weft::detail
