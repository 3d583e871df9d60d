#pragma once
// Sends finished batches to one OTLP/HTTP destination: encoding, compression, pooled keep-alive connections, TLS, proxy,
// retry, Retry-After. Start at OtlpHttpSink::send. What becomes of a batch is always told in its
// SendOutcome; nothing is thrown for it.

#include <weft/exporters/compression.hpp>
#include <weft/exporters/header_list.hpp>
#include <weft/exporters/otlp_encoding.hpp>
#include <weft/exporters/proxy.hpp>
#include <weft/exporters/retry.hpp>
#include <weft/exporters/sink.hpp>
#include <weft/exporters/tls_options.hpp>
#include <weft/exporters/url.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

namespace asio = boost::asio;

/// What becomes of a batch that send() gives back unsent: how a line in the log calls it.
enum class Unsent : std::uint8_t {
    lost,         ///< Dropped.
    kept_at_stop, ///< Kept when the sink was stopped, else dropped: a durable ring.
    kept          ///< Kept and sent again: a spool.
};

/// One OTLP/HTTP destination of one signal.
/// Source: OTLP exporter specification, "Configuration Options" (defaults are the specification's
/// unless marked ours).
struct OtlpHttpOptions {
    /// Where requests go, path included: see otlp_endpoint().
    Url url = {};
    /// Sent with each request. A User-Agent here replaces ours.
    std::vector<HeaderField> headers = {};
    /// Ours. zstd falls back to gzip for good if the receiver refuses it.
    Compression compression = Compression::gzip;
    /// Unset: default_level(). Range: is_valid_level().
    std::optional<int> compression_level = {};
    /// Of one attempt, from lookup to last byte. 0 to 24 h; 0: no limit, which is taken for 24 h.
    std::chrono::milliseconds timeout{10000};
    RetryPolicy retry = {}; ///< Ours.
    /// Cap on a request before compression. 1 to 2^31. A batch beyond it is split by its records; a record that is too
    /// large alone has its longest attribute values cut, each counted in its dropped_attributes_count, or is dropped
    /// (DropReason::record_too_large) if that is not enough.
    std::size_t request_bytes_max = 64u << 20;
    /// Cap on a response body. 1 to 2^31.
    std::size_t response_bytes_max = 4u << 20;
    /// More than 0: bodies are compressed and written in pieces of this size, and other handlers run in between. 0: at one
    /// go, which costs less in all. Up to 2^31. Ours.
    std::size_t piece_bytes = 0;
    /// Most requests in flight, each on a connection of its own. 1 to 64. Ours.
    std::size_t connections = 2;
    OtlpEncoding encoding = OtlpEncoding::protobuf;
    TlsOptions tls = {};             ///< For an https URL.
    std::optional<Proxy> proxy = {}; ///< See proxy_for().
    /// So many failures in a row open the circuit: then one request at a time asks whether the destination is back, with
    /// waits as `retry` says, and the other batches wait. 0 to 1000; 0: never. Ours.
    std::size_t breaker_failures = 5;
    Unsent unsent = Unsent::lost; ///< Ours. Changes nothing but messages.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is. Never
/// holds a header's value.
[[nodiscard]] std::string problem_in(const OtlpHttpOptions& options);

/// Sends batches to one destination. It has no thread: it runs on the executor it is given, inside
/// a strand of its own.
///
/// Retried, with growing waits and jitter, for as long as RetryPolicy says: failed lookups and
/// connections, refusals of a proxy, refused certificates and whatever else TLS fails at, resets, connections closed or answers garbled before a whole response, timeouts,
/// and 429, 502, 503, 504. A Retry-After parks the whole destination for as long as it says (at
/// most 24 h); parked time does not count against the retry limit. Every other status is final. The
/// same bytes are sent each time.
///
/// Threads: any.
/// Lifetime: the executor's context must outlive the sink; batches being sent keep what they need.
class OtlpHttpSink final : public Sink {
public:
    /// TLS files that cannot be read are no error here: see TlsOptions.
    /// Errors: Errc::option_out_of_range (see problem_in()).
    /// Lifetime: `log` must outlive the sink and every send.
    [[nodiscard]] static Result<std::unique_ptr<OtlpHttpSink>> create(
        asio::any_io_executor executor, OtlpHttpOptions options, Diagnostics& log = diagnostics());

    /// Requests a stop at once and does not wait for it; await stop() first to be sure that nothing
    /// is left running.
    ~OtlpHttpSink() override;

    /// Sends one batch, retrying what may be retried. Beyond `connections` at a time, calls wait
    /// for their turn. Asio cancellation ends it at once; the outcome then says
    /// DropReason::shutdown.
    [[nodiscard]] asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) override;

    /// From now on nothing is retried: waits between attempts, and a parked destination, end at
    /// once; attempts under way have until `deadline`. A batch sent after this gets the one
    /// attempt, if the deadline allows. Waits until no send is left. A second call may bring the
    /// deadline forward.
    [[nodiscard]] asio::awaitable<void> stop(TimePoint deadline) override;

    /// As above, but does not wait. Threads: any.
    void request_stop(TimePoint deadline) noexcept;

    /// OtlpHttpOptions::connections.
    [[nodiscard]] std::size_t connections() const noexcept override;

    /// Threads: any.
    [[nodiscard]] SinkState state() const noexcept override;

private:
    struct State;
    explicit OtlpHttpSink(std::shared_ptr<State> state) noexcept;

    std::shared_ptr<State> state_;
};

} // namespace weft
