#include "circuit_breaker.hpp"
#include "http_connection.hpp"
#include "judgement.hpp"
#include "otlp_lane.hpp"
#include "request_splitter.hpp"

#include <weft/exporters/otlp_http.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <list>
#include <utility>

// A batch on its way:
//
//   send ──▶ [wait for a lane] ──▶ encode ──▶ [parked? circuit open?] ──▶ attempt ──▶ accepted, or dropped
//                                   │            ▲                          │
//                     split if too large         └────────── [wait] ◀───────┘ may be retried
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

using detail::body_of;
using detail::CircuitBreaker;
using detail::encode;
using detail::Encoded;
using detail::HttpPeer;
using detail::Judgement;
using detail::Lane;
using std::chrono::milliseconds;
using TimePoint = OtlpHttpSink::TimePoint;
using Duration = TimePoint::duration;
using BatchPtr = std::shared_ptr<const Batch>;

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);
constexpr milliseconds longest_timeout = std::chrono::hours(24);
constexpr int splits_max =
    4; // Of one batch, one in another: JSON is not larger than its Protobuf by one ratio throughout.

TimePoint now() noexcept { return std::chrono::steady_clock::now(); }

// Looked at through a copy: GCC 12 miscompiles a co_await on the right of && and ||, so it is
// awaited once at the start.
bool is_set(const asio::cancellation_state& cancellation) noexcept {
    return cancellation.cancelled() != asio::cancellation_type::none;
}

// What became of a batch that is sent in parts.
class Parts {
public:
    void add(SendOutcome part) {
        if (part.dropped > most_dropped_) {
            most_dropped_ = part.dropped;
            sum_.reason = part.reason;
        }
        sum_.exported += part.exported;
        sum_.rejected += part.rejected;
        sum_.dropped += part.dropped;
        sum_.attempts += part.attempts;
        sum_.status = part.status != 0 ? part.status : sum_.status;
        if (!part.detail.empty()) { sum_.detail = std::move(part.detail); }
    }
    [[nodiscard]] SendOutcome sum() && { return std::move(sum_); }

private:
    SendOutcome sum_;
    std::uint64_t most_dropped_ = 0;
};

} // namespace

struct OtlpHttpSink::State : std::enable_shared_from_this<State> {
    using Ptr = std::shared_ptr<State>;
    class Sending;
    class Lease;
    class Admission;
    struct Delivery;
    // Whether an attempt may be made.
    struct Turn {
        enum class Kind : std::uint8_t { granted, stopped, exhausted };
        Kind kind = Kind::stopped;
        CircuitBreaker::Entry entry = CircuitBreaker::Entry::refused; // With `granted`.
    };

    State(asio::any_io_executor executor, OtlpHttpOptions given, Diagnostics& to)
        : strand(asio::make_strand(std::move(executor))), options(std::move(given)), log(to),
          peer(detail::make_peer(options, to)), where(options.url.text_for_messages()),
          breaker(options.breaker_failures, options.retry) {
        idle.reserve(options.connections);
        busy.reserve(options.connections);
    }

    const asio::strand<asio::any_io_executor> strand;
    const OtlpHttpOptions options;
    Diagnostics& log;
    const std::shared_ptr<const HttpPeer> peer;
    const std::string where;
    CircuitBreaker breaker;
    // Both for OtlpHttpSink::state(), from any thread: the breaker's, and parked_until.
    std::atomic<bool> is_circuit_open{false};
    std::atomic<TimePoint::rep> parked_until_ticks{TimePoint::min().time_since_epoch().count()};
    std::vector<std::unique_ptr<Lane>> idle;
    std::vector<Lane*> busy;
    std::list<asio::steady_timer*> waits;
    std::optional<TimePoint> stop_deadline;
    TimePoint parked_until = TimePoint::min();
    std::size_t sending = 0;
    bool zstd_refused = false;
    std::optional<TimePoint>
        failing_since;         // Set while the last answer, or the lack of one, was a failure.
    std::string failure_words; // Of the last failure of any batch.

    static asio::awaitable<SendOutcome> send(Ptr self, BatchPtr batch);
    static asio::awaitable<SendOutcome> deliver(Ptr self, BatchPtr batch);
    static asio::awaitable<Encoded> encode_body(
        Ptr self, Compressor& compressor, std::string_view body);
    static asio::awaitable<bool> wait_for_turn(Ptr self, asio::cancellation_state cancellation);
    static asio::awaitable<SendOutcome> deliver_parts(
        Ptr self, BatchPtr batch, Lane& lane, asio::cancellation_state cancellation, int splits);
    static asio::awaitable<SendOutcome> deliver_whole(
        Ptr self, BatchPtr batch, std::string_view body, Lane& lane,
        asio::cancellation_state cancellation, bool is_part);
    static asio::awaitable<Turn> wait_for_attempt(Ptr self, Delivery& delivery);
    static asio::awaitable<bool> wait_to_retry(Ptr self, Delivery& delivery, Judgement judgement);
    static asio::awaitable<Judgement> attempt(
        Ptr self, Delivery& delivery, CircuitBreaker::Entry entry);
    static asio::awaitable<void> sleep_until(Ptr self, TimePoint until);
    static asio::awaitable<void> stop(Ptr self, TimePoint deadline);
    static asio::awaitable<void> stop_from_outside(Ptr self, TimePoint deadline);

    void begin_stop(TimePoint deadline);
    void park(TimePoint until) noexcept;
    void wake_all() noexcept;
    [[nodiscard]] bool is_stop_over() const noexcept {
        return stop_deadline && now() >= *stop_deadline;
    }
    [[nodiscard]] SendOutcome accepted(const Delivery& delivery, const Judgement& judgement);
    [[nodiscard]] SendOutcome dropped(
        const Batch& batch, DropReason reason, std::string detail, std::string_view remedy = {},
        bool is_kept = false) const;
    [[nodiscard]] bool is_kept(DropReason reason) const noexcept;
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
        lane_->trim();
        // Does not allocate: capacity was reserved for every lane there can be.
        state_->idle.push_back(std::move(lane_));
        state_->wake_all();
    }

    [[nodiscard]] Lane& lane() const noexcept { return *lane_; }

private:
    const Ptr state_;
    std::unique_ptr<Lane> lane_;
};

// What the circuit breaker let through. It is told how that ended, by the end of this object at the latest.
class OtlpHttpSink::State::Admission {
public:
    Admission(Ptr state, CircuitBreaker::Entry entry) : state_(std::move(state)), entry_(entry) {}
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;
    ~Admission() {
        if (is_told_) { return; }
        state_->breaker.abandoned(entry_);
        state_->wake_all();
    }

    void succeeded() { settle(state_->breaker.succeeded()); }

    void failed(const Batch& batch) {
        const bool opened = state_->breaker.failed(entry_, now());
        if (opened) {
            state_->log.report(DiagnosticLevel::warning, key("circuit_open", batch), [&] {
                return state_->prefix(batch) + std::to_string(state_->breaker.failures()) +
                       " failures in a row, from now on one request at a time asks whether it "
                       "works again";
            });
        }
        settle(opened);
    }

private:
    void settle(bool has_changed) {
        is_told_ = true;
        // Relaxed: as in park().
        state_->is_circuit_open.store(state_->breaker.is_open(), std::memory_order_relaxed);
        if (has_changed || entry_ == CircuitBreaker::Entry::probe) { state_->wake_all(); }
    }

    const Ptr state_;
    const CircuitBreaker::Entry entry_;
    bool is_told_ = false;
};

struct OtlpHttpSink::State::Delivery {
    const BatchPtr batch;
    Lane& lane;
    const std::string_view body; // Before compression.
    const asio::cancellation_state cancellation;
    Encoded encoded;
    Backoff backoff;
    const TimePoint started;
    Duration parked{0};
    bool fell_back = false; // From zstd to gzip.
    int attempts = 0;
    int status = 0;
    std::string words = {}; // Of the last failure.
    bool is_part = false;   // Of a batch, which is not sent again for it.
};

asio::awaitable<SendOutcome> OtlpHttpSink::State::send(Ptr self, BatchPtr batch) {
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    if (is_set(cancellation)) {
        co_return self->dropped(
            *batch, DropReason::shutdown, "cancelled", {}, self->is_kept(DropReason::shutdown));
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
    if (!co_await wait_for_turn(self, cancellation)) {
        co_return self->dropped(
            *batch, DropReason::shutdown, "not sent", {}, self->is_kept(DropReason::shutdown));
    }

    const Lease lease(self);
    Lane& lane = lease.lane();
    const auto body = body_of(*batch, self->options.encoding, lane);
    if (body.empty()) { co_return self->dropped(*batch, DropReason::encode_failed, {}); }
    if (body.size() > self->options.request_bytes_max) {
        co_return co_await deliver_parts(self, batch, lane, cancellation, 1);
    }
    co_return co_await deliver_whole(self, batch, body, lane, cancellation, false);
}

// A batch that is too large for one request, in several, one after another.
// Lifetime: the lane is the caller's, who awaits in the same expression; here and below.
asio::awaitable<SendOutcome> OtlpHttpSink::State::deliver_parts(
    Ptr self, BatchPtr batch, Lane& lane, asio::cancellation_state cancellation, int splits) {
    const auto cap = self->options.request_bytes_max;
    auto limit = cap;
    if (self->options.encoding == OtlpEncoding::json) {
        // What of Protobuf becomes about so much JSON, with something to spare.
        const auto ratio =
            static_cast<double>(batch->body.size()) / static_cast<double>(lane.json.size());
        limit = static_cast<std::size_t>(static_cast<double>(cap) * ratio * 0.9);
    }
    const auto split = detail::split_batch(*batch, limit);
    if (!split) {
        co_return self->dropped(
            *batch, DropReason::request_too_large, std::to_string(batch->body.size()) + " bytes");
    }
    Parts parts;
    if (split->too_large != 0) {
        parts.add(self->dropped(
            Batch{batch->signal, split->too_large, {}}, DropReason::record_too_large,
            "a record over request_bytes_max, " + std::to_string(cap) + " bytes"));
    }
    if (split->shortened != 0) {
        self->log.report(DiagnosticLevel::warning, key("shortened", *batch), [&] {
            return self->prefix(*batch) + std::to_string(split->shortened) +
                   " records with values cut, for alone they are over request_bytes_max, " +
                   std::to_string(cap) + " bytes";
        });
    }
    for (const auto& part : split->parts) {
        SendOutcome outcome;
        try { // What one part meets with must not count for those that have been sent.
            const auto body = body_of(*part, self->options.encoding, lane);
            if (body.size() > cap && splits < splits_max) {
                outcome = co_await deliver_parts(self, part, lane, cancellation, splits + 1);
            } else if (body.size() > cap || body.empty()) {
                outcome = self->dropped(*part, DropReason::request_too_large, "as JSON");
            } else {
                outcome = co_await deliver_whole(self, part, body, lane, cancellation, true);
            }
        } catch (const std::exception&) {
            outcome = self->dropped(*part, DropReason::internal_error, {});
        }
        parts.add(std::move(outcome));
    }
    co_return std::move(parts).sum();
}

asio::awaitable<SendOutcome> OtlpHttpSink::State::deliver_whole(
    Ptr self, BatchPtr batch, std::string_view body, Lane& lane,
    asio::cancellation_state cancellation, bool is_part) {
    auto& compressor = self->zstd_refused ? lane.fallback : lane.preferred;
    const Encoded encoded = co_await encode_body(self, compressor, body);
    Delivery delivery{batch, lane, body, cancellation, encoded, Backoff(self->options.retry),
                      now()};
    delivery.is_part = is_part;
    for (;;) { // Bound: RetryPolicy::max_elapsed, not counting what a Retry-After asked for, and
               // any stop.
        const auto turn = co_await wait_for_attempt(self, delivery);
        if (turn.kind == Turn::Kind::stopped) {
            co_return self->given_up(delivery, DropReason::shutdown);
        }
        if (turn.kind == Turn::Kind::exhausted) {
            co_return self->given_up(delivery, DropReason::retry_exhausted);
        }
        auto judgement = co_await attempt(self, delivery, turn.entry);
        switch (judgement.kind) {
        case Judgement::Kind::accepted:
            co_return self->accepted(delivery, judgement);
        case Judgement::Kind::final:
            co_return self->given_up(delivery, judgement.reason);
        case Judgement::Kind::encoding_refused:
            delivery.encoded = co_await encode_body(self, lane.fallback, body);
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

// Waits until the destination is neither parked nor left to another's probe.
// Lifetime: `delivery` is the caller's, who awaits in the same expression; here and below.
asio::awaitable<OtlpHttpSink::State::Turn> OtlpHttpSink::State::wait_for_attempt(
    Ptr self, Delivery& delivery) {
    using Entry = CircuitBreaker::Entry;
    for (;;) { // Bound: the end of the parking, then RetryPolicy::max_elapsed, and any stop.
        const auto began = now();
        if (self->is_stop_over() || is_set(delivery.cancellation)) { co_return Turn{}; }
        if (began < self->parked_until) {
            if (self->stop_deadline) { co_return Turn{}; }
            co_await sleep_until(self, self->parked_until);
            delivery.parked += now() - began;
            continue;
        }
        const bool is_stopping = self->stop_deadline.has_value();
        if (is_stopping && self->breaker.is_open() && delivery.attempts != 0) { co_return Turn{}; }
        // A batch that has but one attempt makes it, open or not.
        const bool has_one = is_stopping || self->options.retry.max_elapsed == milliseconds(0);
        const auto entry = has_one ? Entry::attempt : self->breaker.enter(began);
        if (entry != Entry::refused) { co_return Turn{Turn::Kind::granted, entry}; }
        const auto limit = delivery.started + delivery.parked + self->options.retry.max_elapsed;
        const auto next = self->breaker.next_probe_at();
        if (began >= limit || (next != TimePoint::max() && next > limit)) {
            if (delivery.words.empty()) { delivery.words = self->failure_words; }
            co_return Turn{Turn::Kind::exhausted};
        }
        co_await sleep_until(self, std::min(next, limit));
    }
}

asio::awaitable<Judgement> OtlpHttpSink::State::attempt(
    Ptr self, Delivery& delivery, CircuitBreaker::Entry entry) {
    Admission admission(self, entry);
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
    const bool proxy_answers = self->peer->proxy && !self->peer->tls;
    auto judgement = detail::judge(
        response, delivery.lane.connection.words(), encoded.compression,
        proxy_answers ? &*self->peer->proxy : nullptr);
    delivery.status = judgement.status != 0 ? judgement.status : delivery.status;
    delivery.words = judgement.words;
    if (judgement.kind == Judgement::Kind::retry) {
        if (!self->failing_since) { self->failing_since = began; }
        self->failure_words = judgement.words;
        admission.failed(*delivery.batch);
    } else if (judgement.reason != DropReason::shutdown) {
        admission.succeeded(); // Somebody is there, whatever is thought of the batch.
    }
    co_return judgement;
}

// True when it is time for the next attempt; false if there shall be none.
asio::awaitable<bool> OtlpHttpSink::State::wait_to_retry(
    Ptr self, Delivery& delivery, Judgement judgement) {
    const auto& retry = self->options.retry;
    if (self->stop_deadline || retry.max_elapsed == milliseconds(0)) { co_return false; }
    const auto report = [&](const auto& then) {
        self->log.report(DiagnosticLevel::warning, self->key("retry", *delivery.batch), [&] {
            return self->prefix(*delivery.batch) + "attempt " + std::to_string(delivery.attempts) +
                   " failed (" + delivery.words + "), " + then();
        });
    };
    const bool told_when = judgement.retry_after > std::chrono::seconds(0);
    if (!told_when && self->breaker.is_open()) { // The waits are the circuit's.
        report([] { return std::string("trying again when it is this batch's turn"); });
        co_return true;
    }
    const auto wait =
        told_when ? delivery.backoff.at_least(judgement.retry_after) : delivery.backoff.next();
    if (!told_when && now() - delivery.started - delivery.parked + wait > retry.max_elapsed) {
        co_return false;
    }
    report([&] { return "trying again in " + std::to_string(wait.count()) + " ms"; });
    const auto until = now() + wait;
    if (told_when) {
        // Parked for every batch; this one goes on waiting where the others do.
        self->park(until);
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

void OtlpHttpSink::State::park(TimePoint until) noexcept {
    parked_until = std::max(parked_until, until);
    // Relaxed: a moment's staleness tells nobody anything wrong for longer.
    parked_until_ticks.store(parked_until.time_since_epoch().count(), std::memory_order_relaxed);
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

// `is_kept`: by whoever sends it. Then it is not sent now, and not lost.
SendOutcome OtlpHttpSink::State::dropped(
    const Batch& batch, DropReason reason, std::string detail, std::string_view remedy,
    bool is_kept) const {
    SendOutcome outcome;
    outcome.dropped = batch.records;
    outcome.reason = batch.records != 0 ? reason : DropReason::none;
    outcome.detail = std::move(detail);
    const auto level = is_kept ? DiagnosticLevel::warning : DiagnosticLevel::error;
    log.report(level, key(is_kept ? "kept" : "dropped", batch), [&] {
        return prefix(batch) + std::to_string(batch.records) +
               (is_kept ? " records not sent, but kept, " : " records dropped, ") +
               std::string(name(reason)) +
               (outcome.detail.empty() ? "" : " (" + outcome.detail + ")") + std::string(remedy);
    });
    return outcome;
}

bool OtlpHttpSink::State::is_kept(DropReason reason) const noexcept {
    return (options.unsent != Unsent::lost && reason == DropReason::shutdown) ||
           (options.unsent == Unsent::kept && reason == DropReason::retry_exhausted);
}

SendOutcome OtlpHttpSink::State::given_up(const Delivery& delivery, DropReason reason) const {
    const auto remedy = reason == DropReason::rejected_by_status
                            ? detail::remedy_for(delivery.status, delivery.batch->signal)
                            : std::string();
    auto outcome = dropped(
        *delivery.batch, reason, delivery.words, remedy, is_kept(reason) && !delivery.is_part);
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

SinkState OtlpHttpSink::state() const noexcept {
    // Relaxed, both: each is true of a moment ago.
    if (state_->is_circuit_open.load(std::memory_order_relaxed)) { return SinkState::circuit_open; }
    const TimePoint parked_until(
        Duration(state_->parked_until_ticks.load(std::memory_order_relaxed))); // As above.
    return now() < parked_until ? SinkState::parked : SinkState::working;
}

void OtlpHttpSink::request_stop(TimePoint deadline) noexcept {
    try {
        asio::post(state_->strand, [state = state_, deadline] { state->begin_stop(deadline); });
    } catch (...) {} // No memory for a handler: sends end by their own limits.
}

} // namespace weft
