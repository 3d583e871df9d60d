#include "prometheus_auth.hpp"

#include "prometheus_fields.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace weft::detail {
namespace {

constexpr std::size_t password_bytes_max = 4096;

std::string read_password(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(password_bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.ends_with('\n')) { text.pop_back(); }
    if (text.ends_with('\r')) { text.pop_back(); }
    if (text.empty() || text.size() > password_bytes_max) {
        throw std::invalid_argument(
            "auth.password_file " + printable(path, 256) +
            " cannot be read, is empty or longer than 4096 bytes");
    }
    return text;
}

} // namespace

PrometheusAuth::PrometheusAuth(const PrometheusAuthOptions& options)
    : has_basic_(!options.user.empty()), subjects_(options.client_subjects) {
    if (RAND_bytes(key_.data(), static_cast<int>(key_.size())) != 1) {
        throw std::runtime_error("no random bytes to be had");
    }
    if (has_basic_) {
        const auto password =
            options.password_file.empty() ? options.password : read_password(options.password_file);
        basic_ = digest(options.user + ":" + password);
    }
    for (const auto& token : options.bearer_tokens) { tokens_.push_back(digest(token)); }
}

PrometheusAuth::Digest PrometheusAuth::digest(std::string_view text) const {
    Digest result;
    unsigned size = 0;
    const auto* const done = HMAC(
        EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
        reinterpret_cast<const unsigned char*>(text.data()), text.size(), result.data(), &size);
    if (done == nullptr || size != result.size()) {
        throw std::runtime_error("no SHA-256 to be had");
    }
    return result;
}

bool PrometheusAuth::equal(const Digest& a, const Digest& b) noexcept {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

AuthVerdict PrometheusAuth::check(const ScraperIdentity& who) const {
    if (!subjects_.empty() && !who.has_certificate) { return AuthVerdict::unknown; }
    if (has_basic_ || !tokens_.empty()) {
        // User and password are one secret: nothing tells which of them was wrong.
        bool known = false;
        if (const auto basic = basic_credentials(who.authorization); basic && has_basic_) {
            known = equal(digest(*basic), basic_);
        } else if (const auto token = bearer_token(who.authorization)) {
            const auto shown = digest(*token);
            for (const auto& digest_known : tokens_) { known |= equal(shown, digest_known); }
        }
        if (!known) { return AuthVerdict::unknown; }
    }
    if (!subjects_.empty() &&
        std::find(subjects_.begin(), subjects_.end(), who.subject) == subjects_.end()) {
        return AuthVerdict::forbidden;
    }
    return AuthVerdict::allowed;
}

} // namespace weft::detail
