#include <weft/runtime/authorization.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <new>
#include <stdexcept>

namespace weft {
namespace {

constexpr std::size_t password_bytes_max = 4096;
constexpr std::size_t header_bytes_max = 16 * 1024; // Longer ones are not looked at.

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// What may stand in a header: the text would otherwise never arrive as it was written.
bool is_sendable(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
    });
}

std::string read_password(std::string_view where, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(password_bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > password_bytes_max) { text.clear(); }
    if (text.ends_with('\n')) { text.pop_back(); }
    if (text.ends_with('\r')) { text.pop_back(); }
    if (text.empty()) {
        throw std::invalid_argument(
            std::string(where) + "password_file " + printable(path, 256) +
            " cannot be read, is empty or longer than 4096 bytes");
    }
    return text;
}

// What follows the scheme and its blanks, if it is this one.
std::optional<std::string_view> after_scheme(
    std::string_view header, std::string_view scheme) noexcept {
    if (header.size() > header_bytes_max || header.size() <= scheme.size() ||
        header[scheme.size()] != ' ' ||
        !std::equal(scheme.begin(), scheme.end(), header.begin(), [](char a, char b) {
            return lower(a) == lower(b);
        })) {
        return std::nullopt;
    }
    header.remove_prefix(scheme.size());
    const auto first = header.find_first_not_of(" \t");
    if (first == std::string_view::npos) { return std::nullopt; }
    return header.substr(first, header.find_last_not_of(" \t") - first + 1);
}

int base64_value(char c) noexcept {
    if (c >= 'A' && c <= 'Z') { return c - 'A'; }
    if (c >= 'a' && c <= 'z') { return c - 'a' + 26; }
    if (c >= '0' && c <= '9') { return c - '0' + 52; }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// "user:password" of a header with the scheme Basic. False: another scheme, or no base64.
bool basic_credentials(std::string_view header, std::string& out) {
    const auto found = after_scheme(header, "Basic");
    if (!found) { return false; }
    auto text = *found;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) { text.remove_suffix(1); }
    if (text.size() % 4 == 1) { return false; }
    out.clear();
    out.reserve(text.size());
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const int value = base64_value(c);
        if (value < 0) { return false; }
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out.push_back(static_cast<char>((bits >> count) & 0xff));
        }
    }
    return true;
}

} // namespace

std::string problem_in(const AuthorizationOptions& options, std::string_view where) {
    const std::string at(where);
    const bool has_password = !options.password.empty() || !options.password_file.empty();
    if (!options.password.empty() && !options.password_file.empty()) {
        return at + "password and " + at + "password_file are both set: only one is allowed";
    }
    if (!options.user.empty() && !has_password) {
        return at + "user is set without a password: set " + at + "password or " + at +
               "password_file";
    }
    if (options.user.empty() && has_password) {
        return at + "password is set without " + at + "user: set that too";
    }
    if (options.user.find(':') != std::string::npos) {
        return at + "user holds a ':': basic authentication cannot say such a name";
    }
    if (options.password.size() > password_bytes_max || options.user.size() > password_bytes_max) {
        return at + "user or " + at + "password is longer than 4096 bytes";
    }
    for (const auto& token : options.bearer_tokens) {
        if (token.empty() || token.size() > password_bytes_max || !is_sendable(token)) {
            return at + "bearer_tokens: a token is empty, longer than 4096 bytes, or holds blanks "
                        "or other characters that a header cannot hold";
        }
    }
    return {};
}

Authorization::Authorization(const AuthorizationOptions& options, std::string_view where) {
    if (auto problem = problem_in(options, where); !problem.empty()) {
        throw std::invalid_argument(problem);
    }
    const auto key = detail::SipKey::random();
    if (!key) { throw std::runtime_error("the system has no random bytes"); }
    key_ = *key;
    if (!options.user.empty()) {
        const auto password = options.password_file.empty()
                                  ? options.password
                                  : read_password(where, options.password_file);
        basic_ = detail::siphash_digest(key_, options.user + ":" + password);
    }
    for (const auto& token : options.bearer_tokens) {
        tokens_.push_back(detail::siphash_digest(key_, token));
    }
}

bool Authorization::allows(std::string_view header) const noexcept {
    if (!takes_basic() && !takes_bearer()) { return true; }
    try {
        // User and password are one secret: nothing tells which of them was wrong.
        if (std::string shown; basic_ && basic_credentials(header, shown)) {
            return detail::equal_in_constant_time(detail::siphash_digest(key_, shown), *basic_);
        }
    } catch (const std::bad_alloc&) { return false; }
    const auto token = after_scheme(header, "Bearer");
    if (!token) { return false; }
    const auto shown = detail::siphash_digest(key_, *token);
    bool known = false;
    for (const auto& digest : tokens_) { known |= detail::equal_in_constant_time(shown, digest); }
    return known;
}

std::string Authorization::challenge(std::string_view realm) const {
    if (takes_basic()) { return "Basic realm=\"" + std::string(realm) + "\", charset=\"UTF-8\""; }
    if (takes_bearer()) { return "Bearer realm=\"" + std::string(realm) + "\""; }
    return {};
}

} // namespace weft
