#include "serialise.hpp"

#include "text.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

namespace weft::http::detail {
namespace {

// Source: RFC 9110, "Status Codes", and RFC 6585. Nobody reads the phrase, so rare ones go without.
constexpr auto reasons = std::to_array<std::pair<int, std::string_view>>({
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
});

// "Sun, 06 Nov 1994 08:49:37 GMT", made once a second per thread.
std::string_view date_now() noexcept {
    struct Cached {
        std::time_t second = -1;
        std::array<char, 30> text{};
        std::size_t chars = 0;
    };
    static thread_local Cached cached;
    const auto now = std::time(nullptr);
    if (now != cached.second) {
        static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::tm parts{};
        ::gmtime_r(&now, &parts);
        // By hand for the names, because strftime's follow the locale.
        std::array<char, 30> rest{};
        const auto chars = std::strftime(rest.data(), rest.size(), " %Y %H:%M:%S GMT", &parts);
        std::string_view day = days[parts.tm_wday % 7];
        std::string_view month = months[parts.tm_mon % 12];
        char* out = cached.text.data();
        out = std::copy(day.begin(), day.end(), out);
        *out++ = ',';
        *out++ = ' ';
        *out++ = static_cast<char>('0' + parts.tm_mday / 10);
        *out++ = static_cast<char>('0' + parts.tm_mday % 10);
        *out++ = ' ';
        out = std::copy(month.begin(), month.end(), out);
        const auto left = cached.text.size() - static_cast<std::size_t>(out - cached.text.data());
        out = std::copy_n(rest.data(), std::min(chars, left), out);
        cached.chars = static_cast<std::size_t>(out - cached.text.data());
        cached.second = now;
    }
    return {cached.text.data(), cached.chars};
}

// What the server says itself, whatever a handler wrote.
bool is_framing(std::string_view name) noexcept {
    switch (name.size()) {
    case 10:
        return same_name(name, "connection") || same_name(name, "keep-alive");
    case 14:
        return same_name(name, "content-length");
    case 17:
        return same_name(name, "transfer-encoding");
    default:
        return false;
    }
}

} // namespace

bool has_no_body(int status) noexcept { return status < 200 || status == 204 || status == 304; }

std::string_view reason_of(int status) noexcept {
    const auto at = std::find_if(
        reasons.begin(), reasons.end(), [&](const auto& entry) { return entry.first == status; });
    return at == reasons.end() ? "Unknown" : at->second;
}

Response status_response(int status) {
    std::string text(reason_of(status));
    text += '\n';
    return Response::text(status, std::move(text));
}

void write_head(std::string& out, const Response& response, HeadOptions options) {
    const int status = response.status();
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::uint64_t>(status));
    out += ' ';
    out += reason_of(status);
    out += "\r\n";
    bool has_date = false;
    for (const auto& [name, value] : response.headers()) {
        if (is_framing(name)) { continue; }
        has_date = has_date || same_name(name, "date");
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    }
    if (!has_date) {
        out += "Date: ";
        out += date_now();
        out += "\r\n";
    }
    if (!has_no_body(status)) {
        out += "Content-Length: ";
        append_number(out, response.body().size());
        out += "\r\n";
    }
    if (!options.keep_alive) {
        out += "Connection: close\r\n";
    } else if (options.version < 11) {
        out += "Connection: keep-alive\r\n";
    }
    out += "\r\n";
}

} // namespace weft::http::detail
