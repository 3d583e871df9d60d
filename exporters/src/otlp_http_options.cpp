#include <weft/exporters/otlp_http.hpp>

namespace weft {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t bytes_max = std::size_t{1} << 31;

bool is_within(double value, double least, double most) noexcept {
    return value >= least && value <= most;
}

std::string_view problem_in_retry(const RetryPolicy& retry) noexcept {
    if (retry.initial_backoff < 1ms || retry.initial_backoff > 24h) {
        return "retry.initial_backoff: 1 ms to 24 h";
    }
    if (!is_within(retry.multiplier, 1, 10)) { return "retry.multiplier: 1 to 10"; }
    if (retry.max_backoff < retry.initial_backoff || retry.max_backoff > 24h) {
        return "retry.max_backoff: retry.initial_backoff to 24 h";
    }
    if (!is_within(retry.jitter, 0, 1)) { return "retry.jitter: 0 to 1"; }
    if (retry.max_elapsed < 0ms || retry.max_elapsed > 7 * 24h) {
        return "retry.max_elapsed: 0 to 7 days";
    }
    return {};
}

} // namespace

std::string problem_in(const OtlpHttpOptions& options) {
    if (options.url.host.empty() || options.url.port == 0 || !options.url.target.starts_with('/')) {
        return "url: host, port and a target that begins with '/'; parse_url() gives such";
    }
    for (const auto& field : options.headers) {
        if (auto problem = problem_in(field); !problem.empty()) { return "headers: " + problem; }
    }
    const int level = options.compression_level.value_or(default_level(options.compression));
    if (!is_valid_level(options.compression, level)) {
        return "compression_level: gzip 0 to 12, zstd -7 to 19";
    }
    if (options.timeout < 0ms || options.timeout > 24h) { return "timeout: 0 (none) to 24 h"; }
    if (const auto problem = problem_in_retry(options.retry); !problem.empty()) {
        return std::string(problem);
    }
    if (options.request_bytes_max < 1 || options.request_bytes_max > bytes_max) {
        return "request_bytes_max: 1 to 2^31";
    }
    if (options.response_bytes_max < 1 || options.response_bytes_max > bytes_max) {
        return "response_bytes_max: 1 to 2^31";
    }
    if (options.connections < 1 || options.connections > 64) { return "connections: 1 to 64"; }
    return {};
}

} // namespace weft
