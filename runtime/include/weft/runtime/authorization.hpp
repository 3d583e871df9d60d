#pragma once
// Who may use an endpoint of ours: HTTP basic authentication and bearer tokens, wherever the endpoint is served.

#include <weft/runtime/siphash.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// The credentials that are let in; any of them will do. Nothing set: nobody is asked.
struct AuthorizationOptions {
    std::string user = {}; ///< Of HTTP basic authentication. No ':'.
    std::string password = {};
    std::string password_file =
        {}; ///< Read once, without a newline at its end. Instead of `password`.
    std::vector<std::string> bearer_tokens = {};

    [[nodiscard]] bool is_set() const noexcept { return !user.empty() || !bearer_tokens.empty(); }
};

/// What is wrong with the options, naming the field behind `where` ("auth.") and what is allowed; empty if nothing is.
/// Never holds a secret.
[[nodiscard]] std::string problem_in(
    const AuthorizationOptions& options, std::string_view where = "authorization.");

/// Checks Authorization headers. Only keyed digests of the secrets are kept, and they are compared in constant time, so
/// that neither what they are nor how long they are can be measured.
/// Threads: any.
/// Source: RFC 7617 (basic), RFC 6750 (bearer).
class Authorization {
public:
    /// Errors: std::invalid_argument: see problem_in(), or password_file cannot be read, is empty or too long;
    /// std::runtime_error: the system has no random bytes. `where`: as there.
    explicit Authorization(
        const AuthorizationOptions& options, std::string_view where = "authorization.");

    /// `header`: the value of Authorization; empty if there is none. True for all if nothing is set.
    [[nodiscard]] bool allows(std::string_view header) const noexcept;
    [[nodiscard]] bool takes_basic() const noexcept { return basic_.has_value(); }
    [[nodiscard]] bool takes_bearer() const noexcept { return !tokens_.empty(); }
    /// For the header WWW-Authenticate of a 401: which scheme is wanted, and nothing of what was wrong. Empty if
    /// nothing is set.
    [[nodiscard]] std::string challenge(std::string_view realm) const;

private:
    detail::SipKey key_;                     // Random, of this object.
    std::optional<detail::SipDigest> basic_; // Of "user:password".
    std::vector<detail::SipDigest> tokens_;
};

} // namespace weft
