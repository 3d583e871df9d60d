#include "prometheus_auth.hpp"

#include <algorithm>

namespace weft::detail {

AuthorizationOptions authorization_in(const PrometheusAuthOptions& options) {
    return {
        .user = options.user,
        .password = options.password,
        .password_file = options.password_file,
        .bearer_tokens = options.bearer_tokens};
}

PrometheusAuth::PrometheusAuth(const PrometheusAuthOptions& options)
    : authorization_(authorization_in(options), "auth."), subjects_(options.client_subjects) {}

AuthVerdict PrometheusAuth::check(const ScraperIdentity& who) const {
    if (!subjects_.empty() && !who.has_certificate) { return AuthVerdict::unknown; }
    if (!authorization_.allows(who.authorization)) { return AuthVerdict::unknown; }
    if (!subjects_.empty() &&
        std::find(subjects_.begin(), subjects_.end(), who.subject) == subjects_.end()) {
        return AuthVerdict::forbidden;
    }
    return AuthVerdict::allowed;
}

} // namespace weft::detail
