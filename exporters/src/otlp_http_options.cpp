#include <weft/exporters/otlp_http.hpp>

#include <fmt/format.h>

namespace weft {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t bytes_max = std::size_t{1} << 31;
constexpr std::int64_t day_ms = 86'400'000;

template <class T>
std::string range_problem(
    std::string_view field, T value, T low, T high, std::string_view unit = {}) {
    if (value >= low && value <= high) { return {}; } // Not a number is neither.
    return fmt::format("{} is {}{}: allowed is {} to {}{}", field, value, unit, low, high, unit);
}

std::string range_problem(
    std::string_view field, milliseconds value, std::int64_t low_ms, std::int64_t high_ms) {
    return range_problem<std::int64_t>(field, value.count(), low_ms, high_ms, " ms");
}

std::string problem_in_level(const OtlpHttpOptions& options) {
    const int level = options.compression_level.value_or(default_level(options.compression));
    if (is_valid_level(options.compression, level)) { return {}; }
    return fmt::format(
        "compression_level is {} with {}: allowed is 0 to 12 with gzip, -7 to 19 with zstd", level,
        name(options.compression));
}

} // namespace

std::string problem_in(const OtlpHttpOptions& options) {
    if (options.url.host.empty() || options.url.port == 0 || !options.url.target.starts_with('/')) {
        return "url: host, port and a target that begins with '/'; parse_url() gives such";
    }
    for (const auto& field : options.headers) {
        if (auto problem = problem_in(field); !problem.empty()) { return "headers: " + problem; }
    }
    if (auto problem = problem_in(options.tls); !problem.empty()) { return problem; }
    if (options.proxy && (options.proxy->host.empty() || options.proxy->port == 0)) {
        return "proxy: host and port; parse_proxy() gives such";
    }
    const auto& retry = options.retry;
    for (auto problem :
         {problem_in_level(options), range_problem("timeout", options.timeout, 0, day_ms),
          range_problem("retry.initial_backoff", retry.initial_backoff, 1, day_ms),
          range_problem<double>("retry.multiplier", retry.multiplier, 1, 10),
          range_problem(
              "retry.max_backoff", retry.max_backoff, retry.initial_backoff.count(), day_ms),
          range_problem<double>("retry.jitter", retry.jitter, 0, 1),
          range_problem("retry.max_elapsed", retry.max_elapsed, 0, 7 * day_ms),
          range_problem<std::size_t>("request_bytes_max", options.request_bytes_max, 1, bytes_max),
          range_problem<std::size_t>(
              "response_bytes_max", options.response_bytes_max, 1, bytes_max),
          range_problem<std::size_t>("piece_bytes", options.piece_bytes, 0, bytes_max),
          range_problem<std::size_t>("connections", options.connections, 1, 64),
          range_problem<std::size_t>("breaker_failures", options.breaker_failures, 0, 1000)}) {
        if (!problem.empty()) { return problem; }
    }
    return {};
}

} // namespace weft
