#pragma once
#include <weft/viewer/otlp_codec.hpp>
#include <weft/viewer/trace_store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::viewer {

/// What an HTTP server knows of a request once the body is there. Nothing has been checked.
struct HttpQuestion {
    std::string_view method;
    std::string_view target; ///< Path and query.
    std::string_view content_type;
    std::string_view content_encoding;
    std::string_view body;
};

/// What the HTTP server is to answer.
struct HttpAnswer {
    unsigned status = 200;
    std::string content_type;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers =
        {}; ///< Beside Content-Type and Content-Length.
};

struct ReceiverOptions {
    std::size_t body_bytes_max = otlp::body_bytes_max_default; ///< Before and after decompression.
    StoreOptions store = {};
};

/// What has arrived since the start.
struct ReceiverCounts {
    std::uint64_t requests = 0;         ///< POSTs to one of the three paths.
    std::uint64_t refused_requests = 0; ///< Those of them that were not answered with 200.
    std::uint64_t log_records = 0;
    std::uint64_t metric_points = 0;
    std::uint64_t rejected_spans =
        0; ///< Reported back in partial_success and not in `store.spans`.
    std::uint64_t rejected_points = 0;
    StoreCounts store;
};

/// An OTLP/HTTP receiver without the HTTP: takes traces, metrics and logs, keeps the traces, counts
/// the rest.
///
///     POST /v1/traces, /v1/metrics, /v1/logs    protobuf or JSON; plain, gzip or zstd
///     GET  /_counts                             the counts so far, as JSON
///     GET  /_trace?slowest=N | error=N | id=HEX the traces as text, N up to 20
///
/// Records that decode but break a rule are accepted and reported in the answer's partial_success
/// with nothing rejected; spans without valid ids and points without a time are rejected there.
/// Threads: one at a time. Source: OTLP specification, "OTLP/HTTP".
class Receiver {
public:
    using Clock = std::chrono::steady_clock;

    explicit Receiver(const ReceiverOptions& options = {});
    ~Receiver();
    Receiver(Receiver&&) noexcept;
    Receiver& operator=(Receiver&&) noexcept;

    /// Never throws: what goes wrong inside (no memory) is answered with 500.
    [[nodiscard]] HttpAnswer handle(const HttpQuestion& question, Clock::time_point now) noexcept;

    /// The answer for a request whose body the HTTP server refused, so that only the rest of the question is there.
    [[nodiscard]] HttpAnswer refuse(const HttpQuestion& question, unsigned status) noexcept;

    [[nodiscard]] ReceiverCounts counts() const noexcept;
    /// {"received":{"spans":n,"traces":n,...}} in one line.
    [[nodiscard]] std::string counts_json() const;
    /// "received 10 spans in 3 traces (0 broken), ..."
    [[nodiscard]] std::string summary() const;
    [[nodiscard]] TraceStore& store() noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft::viewer
