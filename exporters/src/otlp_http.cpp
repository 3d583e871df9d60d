#include "export_response.hpp"
#include "http_connection.hpp"
#include "retry_after.hpp"

#include <weft/exporters/otlp_http.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <list>
#include <utility>

// A batch on its way:
//
//   send ──▶ [wait for a lane] ──▶ encode ──▶ [parked?] ──▶ attempt ──▶ accepted, or dropped
//                                                ▲             │
//                                                └── [wait] ◀──┘ may be retried
//
// I1  Everything below runs on one strand, so State needs no lock. Only request_stop() comes from
//     outside: it posts.
// I2  A send in progress holds the State by a shared_ptr and is counted in `sending`; stop() waits
//     for zero.
// I3  Every wait is on a timer listed in `waits`, every attempt on a lane listed in `busy`, so that
//     a stop reaches both. A wait may end early: whoever waits looks again at what it waits for.
// I4  Each outcome adds up to the batch's records: accepted() and dropped() make them, nothing
// else.
//
// A stop is known by `stop_deadline`, Asio cancellation by the coroutine's cancellation state; both
// are looked at around each wait.

namespace weft {
namespace {

using detail::HttpConnection;
using detail::HttpPeer;
using detail::HttpResponse;
using otlp::ExportVerdict;
using std::chrono::milliseconds;
using TimePoint = OtlpHttpSink::TimePoint;
using Duration = TimePoint::duration;
using BatchPtr = std::shared_ptr<const Batch>;

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);
constexpr milliseconds longest_timeout = std::chrono::hours(24);
constexpr std::size_t idle_output_bytes_max = 1u << 20;

TimePoint now() noexcept { return std::chrono::steady_clock::now(); }

// Looked at through a copy: GCC 12 miscompiles a co_await on the right of && and ||, so it is
// awaited once at the start.
bool is_set(const asio::cancellation_state& cancellation) noexcept {
    return cancellation.cancelled() != asio::cancellation_type::none;
}

// Room for one request in flight: a connection, and compressors with their memory.
struct Lane {
    Lane(
        const asio::any_io_executor& executor, std::shared_ptr<const HttpPeer> peer,
        Compression compression, int level)
        : connection(executor, std::move(peer)), preferred(compression, level),
          fallback(Compression::gzip, default_level(Compression::gzip)) {}

    HttpConnection connection;
    Compressor preferred;
    Compressor fallback; // After a refusal of zstd; holds no memory before.
};

// A body ready to go. Lifetime: a view into the batch or into its lane's compressor.
struct Encoded {
    std::string_view bytes;
    Compression compression = Compression::none;
};

// If there is no memory to compress, or nothing to gain, the body goes as it is.
Encoded encode(Compressor& compressor, std::string_view body) noexcept {
    const auto compressed = compressor.compress(body);
    if (!compressed || compressed->size() >= body.size()) { return {body, Compression::none}; }
    return {*compressed, compressor.compression()};
}

// What one attempt means for the batch.
struct Judgement {
    enum class Kind : std::uint8_t { accepted, encoding_refused, retry, final };

    Kind kind = Kind::final;
    DropReason reason = DropReason::none; // With `final`.
    std::uint64_t rejected = 0;           // With `accepted`.
    bool understood = true;               // With `accepted`: the body was an OTLP response.
    int status = 0;
    std::string words;
    std::chrono::seconds retry_after{0}; // With `retry`; 0: none.
};

Judgement judge_failure(const boost::system::error_code& error) {
    Judgement judgement;
    judgement.words = error.message();
    if (error == Errc::response_too_large) {
        judgement.reason = DropReason::response_too_large;
    } else if (error == Errc::cancelled) {
        judgement.reason = DropReason::shutdown;
    } else {
        judgement.kind = Judgement::Kind::retry;
    }
    return judgement;
}

// What an answer says that no OTLP endpoint gives.
std::string remedy_for(int status, Signal signal) {
    const bool elsewhere = status >= 300 && status <= 399;
    if (status != 404 && !elsewhere) { return {}; }
    std::string upper(name(signal));
    for (char& c : upper) { c = static_cast<char>(c - 'a' + 'A'); }
    return "; is this an OTLP/HTTP endpoint? /v1/" + std::string(name(signal)) +
           " is appended to OTEL_EXPORTER_OTLP_ENDPOINT, but not to OTEL_EXPORTER_OTLP_" + upper +
           "_ENDPOINT";
}

Judgement judge(const Result<HttpResponse>& response, Compression compression) {
    if (!response) { return judge_failure(response.error()); }
    const auto retry_after =
        detail::parse_retry_after(response->retry_after, std::chrono::system_clock::now());
    auto answer =
        otlp::classify({response->status, response->content_type, response->body, retry_after});
    Judgement judgement;
    judgement.status = response->status;
    judgement.words = std::move(answer.message);
    if (answer.verdict == ExportVerdict::success || answer.verdict == ExportVerdict::partial) {
        judgement.kind = Judgement::Kind::accepted;
        judgement.rejected = answer.rejected;
        judgement.understood = answer.body_understood;
        return judgement;
    }
    const std::string code = "http_" + std::to_string(response->status);
    judgement.words = judgement.words.empty() ? code : code + ": " + judgement.words;
    if (answer.verdict == ExportVerdict::retryable) {
        judgement.kind = Judgement::Kind::retry;
        judgement.retry_after = answer.retry_after.value_or(std::chrono::seconds(0));
        return judgement;
    }
    const bool perhaps_encoding = response->status == 400 || response->status == 415;
    if (compression == Compression::zstd && perhaps_encoding) {
        judgement.kind = Judgement::Kind::encoding_refused;
    }
    judgement.reason = DropReason::rejected_by_status;
    return judgement;
}

std::shared_ptr<const HttpPeer> make_peer(const OtlpHttpOptions& options) {
    auto peer = std::make_shared<HttpPeer>();
    peer->host = options.url.host;
    peer->port = options.url.port;
    peer->host_header = options.url.host_header();
    peer->target = options.url.target;
    peer->response_bytes_max = options.response_bytes_max;
    peer->write_bytes_max = options.piece_bytes;
    peer->headers = {
        {"User-Agent", "weft/" WEFT_VERSION " OTel-OTLP-Exporter-Cpp/" WEFT_VERSION},
        {"Content-Type", "application/x-protobuf"}};
    // The connection sets fields in order and ignores case, so a User-Agent of the user's replaces
    // ours.
    peer->headers.insert(peer->headers.end(), options.headers.begin(), options.headers.end());
    return peer;
}

} // namespace

struct OtlpHttpSink::State : std::enable_shared_from_this<State> {
    using Ptr = std::shared_ptr<State>;
    class Sending;
    class Lease;
    struct Delivery;

    State(asio::any_io_executor executor, OtlpHttpOptions given, Diagnostics& to)
        : strand(asio::make_strand(std::move(executor))), options(std::move(given)), log(to),
          peer(make_peer(options)), where(options.url.text_for_messages()) {
        idle.reserve(options.connections);
        busy.reserve(options.connections);
    }

    const asio::strand<asio::any_io_executor> strand;
    const OtlpHttpOptions options;
    Diagnostics& log;
    const std::shared_ptr<const HttpPeer> peer;
    const std::string where;
    std::vector<std::unique_ptr<Lane>> idle;
    std::vector<Lane*> busy;
    std::list<asio::steady_timer*> waits;
    std::optional<TimePoint> stop_deadline;
    TimePoint parked_until = TimePoint::min();
    std::size_t sending = 0;
    bool zstd_refused = false;
    std::optional<TimePoint>
        failing_since; // Set while the last answer, or the lack of one, was a failure.

    static asio::awaitable<SendOutcome> send(Ptr self, BatchPtr batch);
    static asio::awaitable<SendOutcome> deliver(Ptr self, BatchPtr batch);
    static asio::awaitable<Encoded> encode_body(
        Ptr self, Compressor& compressor, std::string_view body);
    static asio::awaitable<bool> wait_for_turn(Ptr self, asio::cancellation_state cancellation);
    static asio::awaitable<bool> wait_while_parked(Ptr self, Delivery& delivery);
    static asio::awaitable<bool> wait_to_retry(Ptr self, Delivery& delivery, Judgement judgement);
    static asio::awaitable<Judgement> attempt(Ptr self, Delivery& delivery);
    static asio::awaitable<void> sleep_until(Ptr self, TimePoint until);
    static asio::awaitable<void> stop(Ptr self, TimePoint deadline);
    static asio::awaitable<void> stop_from_outside(Ptr self, TimePoint deadline);

    void begin_stop(TimePoint deadline);
    void wake_all() noexcept;
    [[nodiscard]] bool is_stop_over() const noexcept {
        return stop_deadline && now() >= *stop_deadline;
    }
    [[nodiscard]] SendOutcome accepted(const Delivery& delivery, const Judgement& judgement);
    [[nodiscard]] SendOutcome dropped(
        const Batch& batch, DropReason reason, std::string detail,
        std::string_view remedy = {}) const;
    [[nodiscard]] SendOutcome given_up(const Delivery& delivery, DropReason reason) const;
    [[nodiscard]] static std::string key(std::string_view kind, const Batch& batch);
    [[nodiscard]] std::string prefix(const Batch& batch) const;
};

// Counts a send; the last to leave lets stop() go on.
class OtlpHttpSink::State::Sending {
public:
    explicit Sending(Ptr state) : state_(std::move(state)) { ++state_->sending; }
    Sending(const Sending&) = delete;
    Sending& operator=(const Sending&) = delete;
    ~Sending() {
        if (--state_->sending == 0) { state_->wake_all(); }
    }

private:
    const Ptr state_;
};

// A lane for the length of a send. The caller has seen that one is free.
class OtlpHttpSink::State::Lease {
public:
    explicit Lease(Ptr state) : state_(std::move(state)) {
        if (!state_->idle.empty()) {
            lane_ = std::move(state_->idle.back());
            state_->idle.pop_back();
        } else {
            const auto& wanted = state_->options;
            lane_ = std::make_unique<Lane>(
                state_->strand, state_->peer, wanted.compression,
                wanted.compression_level.value_or(default_level(wanted.compression)));
        }
        state_->busy.push_back(lane_.get());
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
        std::erase(state_->busy, lane_.get());
        lane_->preferred.trim(idle_output_bytes_max);
        lane_->fallback.trim(idle_output_bytes_max);
        // Does not allocate: capacity was reserved for every lane there can be.
        state_->idle.push_back(std::move(lane_));
        state_->wake_all();
    }

    [[nodiscard]] Lane& lane() const noexcept { return *lane_; }

private:
    const Ptr state_;
    std::unique_ptr<Lane> lane_;
};

struct OtlpHttpSink::State::Delivery {
    const BatchPtr batch;
    Lane& lane;
    const asio::cancellation_state cancellation;
    Encoded encoded;
    Backoff backoff;
    const TimePoint started;
    Duration parked{0};
    bool fell_back = false; // From zstd to gzip.
    int attempts = 0;
    int status = 0;
    std::string words = {}; // Of the last failure.
};

asio::awaitable<SendOutcome> OtlpHttpSink::State::send(Ptr self, BatchPtr batch) {
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    if (is_set(cancellation)) {
        co_return self->dropped(*batch, DropReason::shutdown, "cancelled");
    }
    try {
        auto [error, outcome] =
            co_await asio::co_spawn(self->strand, deliver(self, batch), use_tuple);
        if (!error) { co_return std::move(outcome); }
    } catch (const std::exception&) {} // No memory to begin with.
    co_return self->dropped(
        *batch, is_set(cancellation) ? DropReason::shutdown : DropReason::internal_error, {});
}

asio::awaitable<SendOutcome> OtlpHttpSink::State::deliver(Ptr self, BatchPtr batch) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    const Sending counted(self);
    if (batch->records == 0) { co_return SendOutcome(); }
    if (batch->body.size() > self->options.request_bytes_max) {
        co_return self->dropped(
            *batch, DropReason::request_too_large, std::to_string(batch->body.size()) + " bytes");
    }
    if (!co_await wait_for_turn(self, cancellation)) {
        co_return self->dropped(*batch, DropReason::shutdown, "not sent");
    }

    const Lease lease(self);
    Lane& lane = lease.lane();
    auto& compressor = self->zstd_refused ? lane.fallback : lane.preferred;
    const Encoded encoded = co_await encode_body(self, compressor, batch->body);
    Delivery delivery{batch, lane, cancellation, encoded, Backoff(self->options.retry), now()};
    for (;;) { // Bound: RetryPolicy::max_elapsed, not counting what a Retry-After asked for, and
               // any stop.
        if (!co_await wait_while_parked(self, delivery)) {
            co_return self->given_up(delivery, DropReason::shutdown);
        }
        auto judgement = co_await attempt(self, delivery);
        switch (judgement.kind) {
        case Judgement::Kind::accepted:
            co_return self->accepted(delivery, judgement);
        case Judgement::Kind::final:
            co_return self->given_up(delivery, judgement.reason);
        case Judgement::Kind::encoding_refused:
            delivery.encoded = co_await encode_body(self, lane.fallback, batch->body);
            delivery.fell_back = true;
            break;
        case Judgement::Kind::retry:
            if (!co_await wait_to_retry(self, delivery, std::move(judgement))) {
                const bool stopped = self->stop_deadline || is_set(cancellation);
                co_return self->given_up(
                    delivery, stopped ? DropReason::shutdown : DropReason::retry_exhausted);
            }
        }
    }
}

// As encode(), in pieces if that is wanted.
// Lifetime: `compressor` is the lane's, whose lease the caller holds.
asio::awaitable<Encoded> OtlpHttpSink::State::encode_body(
    Ptr self, Compressor& compressor, std::string_view body) {
    const auto piece = self->options.piece_bytes;
    if (piece == 0) { co_return encode(compressor, body); }
    compressor.begin(body);
    for (;;) { // Bound: the body.
        const auto compressed = compressor.compress_more(piece);
        if (!compressed) { co_return Encoded{body, Compression::none}; }
        if (*compressed) {
            if ((*compressed)->size() >= body.size()) {
                co_return Encoded{body, Compression::none};
            }
            co_return Encoded{**compressed, compressor.compression()};
        }
        if (self->is_stop_over()) {
            co_return Encoded{body, Compression::none};
        } // Seen by the caller.
        co_await asio::post(self->strand, asio::use_awaitable);
    }
}

// True when there is a lane to be had.
asio::awaitable<bool> OtlpHttpSink::State::wait_for_turn(
    Ptr self, asio::cancellation_state cancellation) {
    while (self->busy.size() >= self->options.connections) {
        if (self->is_stop_over() || is_set(cancellation)) { co_return false; }
        co_await sleep_until(self, self->stop_deadline.value_or(TimePoint::max()));
    }
    co_return true;
}

// True when an attempt may be made.
// Lifetime: `delivery` is the caller's, who awaits in the same expression; here and below.
asio::awaitable<bool> OtlpHttpSink::State::wait_while_parked(Ptr self, Delivery& delivery) {
    const auto began = now();
    while (now() < self->parked_until) {
        if (self->stop_deadline || is_set(delivery.cancellation)) { co_return false; }
        co_await sleep_until(self, self->parked_until);
    }
    delivery.parked += now() - began;
    co_return !self->is_stop_over() && !is_set(delivery.cancellation);
}

asio::awaitable<Judgement> OtlpHttpSink::State::attempt(Ptr self, Delivery& delivery) {
    const auto began = now();
    const auto timeout =
        self->options.timeout > milliseconds(0) ? self->options.timeout : longest_timeout;
    const auto deadline = std::min(began + timeout, self->stop_deadline.value_or(TimePoint::max()));
    const auto& encoded = delivery.encoded;
    const bool plain = encoded.compression == Compression::none;
    const detail::HttpBody body{
        encoded.bytes, plain ? std::string_view() : name(encoded.compression)};
    ++delivery.attempts;
    const auto response = co_await delivery.lane.connection.post(body, deadline);
    auto judgement = judge(response, encoded.compression);
    delivery.status = judgement.status != 0 ? judgement.status : delivery.status;
    delivery.words = judgement.words;
    if (judgement.kind == Judgement::Kind::retry && !self->failing_since) {
        self->failing_since = began;
    }
    co_return judgement;
}

// True when it is time for the next attempt; false if there shall be none.
asio::awaitable<bool> OtlpHttpSink::State::wait_to_retry(
    Ptr self, Delivery& delivery, Judgement judgement) {
    const auto& retry = self->options.retry;
    if (self->stop_deadline || retry.max_elapsed == milliseconds(0)) { co_return false; }
    const bool told_when = judgement.retry_after > std::chrono::seconds(0);
    const auto wait =
        told_when ? delivery.backoff.at_least(judgement.retry_after) : delivery.backoff.next();
    if (!told_when && now() - delivery.started - delivery.parked + wait > retry.max_elapsed) {
        co_return false;
    }
    self->log.report(DiagnosticLevel::warning, self->key("retry", *delivery.batch), [&] {
        return self->prefix(*delivery.batch) + "attempt " + std::to_string(delivery.attempts) +
               " failed (" + delivery.words + "), trying again in " + std::to_string(wait.count()) +
               " ms";
    });
    const auto until = now() + wait;
    if (told_when) {
        // Parked for every batch; this one goes on waiting where the others do.
        self->parked_until = std::max(self->parked_until, until);
        delivery.backoff.reset();
        co_return true;
    }
    while (now() < until) {
        if (self->stop_deadline || is_set(delivery.cancellation)) { co_return false; }
        co_await sleep_until(self, until);
    }
    co_return !self->stop_deadline && !is_set(delivery.cancellation);
}

asio::awaitable<void> OtlpHttpSink::State::sleep_until(Ptr self, TimePoint until) {
    // Takes itself off the list also when the coroutine is destroyed asleep.
    struct Listed {
        State& state;
        std::list<asio::steady_timer*>::iterator position;
        ~Listed() { state.waits.erase(position); }
    };
    asio::steady_timer timer(self->strand, until);
    const Listed listed{*self, self->waits.insert(self->waits.end(), &timer)};
    co_await timer.async_wait(use_tuple);
}

void OtlpHttpSink::State::wake_all() noexcept {
    for (auto* timer : waits) { timer->cancel(); }
}

void OtlpHttpSink::State::begin_stop(TimePoint deadline) {
    stop_deadline = std::min(deadline, stop_deadline.value_or(deadline));
    for (auto* lane : busy) { lane->connection.limit_deadline(*stop_deadline); }
    wake_all();
}

asio::awaitable<void> OtlpHttpSink::State::stop(Ptr self, TimePoint deadline) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    self->begin_stop(deadline);
    while (self->sending != 0) { // Bound: every send ends by the deadline.
        if (is_set(cancellation)) { co_return; }
        co_await sleep_until(self, TimePoint::max());
    }
    self->idle.clear();
}

asio::awaitable<void> OtlpHttpSink::State::stop_from_outside(Ptr self, TimePoint deadline) {
    co_await asio::co_spawn(self->strand, stop(self, deadline), use_tuple);
}

// One key a signal, so that trouble with one does not hide another's.
std::string OtlpHttpSink::State::key(std::string_view kind, const Batch& batch) {
    return "otlp_http." + std::string(name(batch.signal)) + "." + std::string(kind);
}

std::string OtlpHttpSink::State::prefix(const Batch& batch) const {
    return std::string(name(batch.signal)) + " export to " + where + ": ";
}

SendOutcome OtlpHttpSink::State::accepted(const Delivery& delivery, const Judgement& judgement) {
    const Batch& batch = *delivery.batch;
    SendOutcome outcome;
    outcome.rejected = std::min<std::uint64_t>(judgement.rejected, batch.records);
    outcome.exported = batch.records - outcome.rejected;
    outcome.attempts = delivery.attempts;
    outcome.status = delivery.status;
    outcome.detail = judgement.words;
    if (const auto since = std::exchange(failing_since, std::nullopt)) {
        log.report(DiagnosticLevel::info, key("recovered", batch), [&] {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now() - *since);
            return prefix(batch) + "works again, " + std::to_string(seconds.count()) +
                   " s after the first failure";
        });
    }
    if (delivery.fell_back && !zstd_refused) {
        // Only now is it known that the encoding was at fault and not the data.
        zstd_refused = true;
        log.report(DiagnosticLevel::warning, key("zstd_refused", batch), [&] {
            return prefix(batch) + "the receiver refuses zstd, using gzip from now on";
        });
    }
    if (outcome.rejected != 0) {
        log.report(DiagnosticLevel::warning, key("rejected", batch), [&] {
            return prefix(batch) + std::to_string(outcome.rejected) + " of " +
                   std::to_string(batch.records) +
                   " records rejected by the receiver: " + judgement.words;
        });
    } else if (!judgement.understood) {
        log.report(DiagnosticLevel::warning, key("strange_answer", batch), [&] {
            return prefix(batch) + "accepted with http_" + std::to_string(judgement.status) +
                   ", but the body is not an OTLP response" +
                   (judgement.words.empty() ? "" : ": " + judgement.words);
        });
    } else if (!judgement.words.empty()) {
        log.report(DiagnosticLevel::warning, key("warning", batch), [&] {
            return prefix(batch) + "accepted with a warning: " + judgement.words;
        });
    }
    return outcome;
}

SendOutcome OtlpHttpSink::State::dropped(
    const Batch& batch, DropReason reason, std::string detail, std::string_view remedy) const {
    SendOutcome outcome;
    outcome.dropped = batch.records;
    outcome.reason = batch.records != 0 ? reason : DropReason::none;
    outcome.detail = std::move(detail);
    log.report(DiagnosticLevel::error, key("dropped", batch), [&] {
        return prefix(batch) + std::to_string(batch.records) + " records dropped, " +
               std::string(name(reason)) +
               (outcome.detail.empty() ? "" : " (" + outcome.detail + ")") + std::string(remedy);
    });
    return outcome;
}

SendOutcome OtlpHttpSink::State::given_up(const Delivery& delivery, DropReason reason) const {
    const auto remedy = reason == DropReason::rejected_by_status
                            ? remedy_for(delivery.status, delivery.batch->signal)
                            : std::string();
    auto outcome = dropped(*delivery.batch, reason, delivery.words, remedy);
    outcome.attempts = delivery.attempts;
    outcome.status = delivery.status;
    return outcome;
}

OtlpHttpSink::OtlpHttpSink(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

OtlpHttpSink::~OtlpHttpSink() { request_stop(now()); }

Result<std::unique_ptr<OtlpHttpSink>> OtlpHttpSink::create(
    asio::any_io_executor executor, OtlpHttpOptions options, Diagnostics& log) {
    if (const auto problem = problem_in(options); !problem.empty()) {
        log.report(DiagnosticLevel::error, "otlp_http.options", "OTLP exporter: " + problem);
        return Errc::option_out_of_range;
    }
    if (options.url.scheme != UrlScheme::http) { return Errc::unsupported_scheme; }
    auto state = std::make_shared<State>(std::move(executor), std::move(options), log);
    return std::unique_ptr<OtlpHttpSink>(new OtlpHttpSink(std::move(state)));
}

asio::awaitable<SendOutcome> OtlpHttpSink::send(BatchPtr batch) {
    return State::send(state_, std::move(batch));
}

asio::awaitable<void> OtlpHttpSink::stop(TimePoint deadline) {
    return State::stop_from_outside(state_, deadline);
}

std::size_t OtlpHttpSink::connections() const noexcept { return state_->options.connections; }

void OtlpHttpSink::request_stop(TimePoint deadline) noexcept {
    try {
        asio::post(state_->strand, [state = state_, deadline] { state->begin_stop(deadline); });
    } catch (...) {} // No memory for a handler: sends end by their own limits.
}

} // namespace weft
