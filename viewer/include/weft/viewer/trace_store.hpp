#pragma once
#include <weft/runtime/ids.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace weft::viewer {

using TextAttributes = std::vector<std::pair<std::string, std::string>>;

/// Something that happened in a span, such as a recorded exception.
struct StoredEvent {
    std::uint64_t time_ns = 0;
    std::string name;
    TextAttributes attributes;
    std::uint64_t attributes_hidden = 0; ///< As StoredSpan's.
};

/// A span as the store keeps it: what is needed to find its place in a trace and to print it.
struct StoredSpan {
    SpanId id;
    SpanId parent; ///< All zero for a root.
    std::uint64_t start_ns = 0;
    std::uint64_t end_ns = 0;
    std::int32_t kind = 0;   ///< OTLP's numbers: 2 server, 3 client, ...
    std::int32_t status = 0; ///< 0 unset, 1 ok, 2 error.
    std::string service;
    std::string name;
    std::string error; ///< The status message, or what an exception event says.
    TextAttributes attributes;
    std::uint64_t attributes_hidden = 0; ///< Not kept here, or already dropped by the sender.
    std::vector<StoredEvent> events;
    std::uint64_t events_hidden = 0; ///< As above.

    [[nodiscard]] bool is_error() const noexcept { return status == 2; }
};

namespace detail {
/// Ids come off the wire; a secret seed keeps a sender from choosing ones that collide.
struct SeededHash {
    std::uint64_t seed = random_u64();
    template <std::size_t N>
    std::size_t operator()(const BasicId<N>& id) const noexcept {
        std::uint64_t word = std::hash<BasicId<N>>{}(id) ^ seed;
        if constexpr (N > sizeof word) {
            std::uint64_t high;
            std::memcpy(&high, id.bytes.data(), sizeof high);
            word += high * 0x9e3779b97f4a7c15;
        }
        word = (word ^ (word >> 32)) * (seed | 1);
        return static_cast<std::size_t>(word ^ (word >> 29));
    }
};
} // namespace detail

/// All spans seen so far of one trace, in order of arrival.
class StoredTrace {
public:
    explicit StoredTrace(const TraceId& id) : id_(id) {}

    [[nodiscard]] const TraceId& id() const noexcept { return id_; }
    [[nodiscard]] const std::vector<StoredSpan>& spans() const noexcept { return spans_; }
    /// Spans whose parent is named but has not arrived. A trace with any is broken.
    [[nodiscard]] std::size_t spans_without_parent() const noexcept { return missing_; }
    [[nodiscard]] bool is_broken() const noexcept { return missing_ > 0; }
    [[nodiscard]] bool has_root() const noexcept { return roots_ > 0; }
    [[nodiscard]] std::size_t error_count() const noexcept { return errors_; }
    [[nodiscard]] bool contains(const SpanId& id) const { return ids_.contains(id); }
    /// From the first start to the last end.
    [[nodiscard]] std::uint64_t start_ns() const noexcept { return start_ns_; }
    [[nodiscard]] std::uint64_t duration_ns() const noexcept;

private:
    friend class TraceStore;
    using Clock = std::chrono::steady_clock;

    bool add(StoredSpan&& span); // False for an id that is already here.

    TraceId id_;
    std::vector<StoredSpan> spans_;
    std::unordered_set<SpanId, detail::SeededHash> ids_;
    // Parents that have not arrived, with the number of spans that name them. Their sum is
    // missing_.
    std::unordered_map<SpanId, std::size_t, detail::SeededHash> awaited_;
    std::size_t missing_ = 0;
    std::size_t roots_ = 0;
    std::size_t errors_ = 0;
    std::uint64_t start_ns_ = UINT64_MAX;
    std::uint64_t end_ns_ = 0;
    std::size_t bytes_ = 0;
    std::size_t spans_shown_ = 0; // Of spans_, when take_finished last gave this trace out.
    Clock::time_point last_arrival_;
};

/// How much the store keeps.
struct StoreOptions {
    std::size_t traces_max = 100'000; ///< 1 or more.
    std::size_t bytes_max = std::size_t{256}
                            << 20; ///< Of all traces together, estimated. 1 or more.
    std::chrono::milliseconds quiet_whole{
        1'000}; ///< A whole trace is finished after this much silence,
    std::chrono::milliseconds quiet_broken{
        6'000}; ///< and one with a parent or the root missing after this:
                ///< senders batch for up to 5 s by default.
};

/// What the store has seen since it began, including what it no longer keeps.
struct StoreCounts {
    std::uint64_t spans = 0;           ///< Without duplicates.
    std::uint64_t duplicate_spans = 0; ///< Same trace id and span id again; the first one counts.
    std::uint64_t late_spans = 0;      ///< Part of `spans`; their trace had already been forgotten.
    std::uint64_t traces = 0;
    std::uint64_t broken_traces = 0; ///< Now, and when they were forgotten.
    std::uint64_t forgotten_traces =
        0; ///< Dropped to keep within the bounds, the longest silent first.

    friend bool operator==(const StoreCounts&, const StoreCounts&) = default;
};

/// A trace to show, and how many of its spans are news.
struct FinishedTrace {
    const StoredTrace* trace = nullptr; ///< Until the next add().
    std::size_t spans_shown_before = 0;
};

/// Collects spans into traces, within bounds. Knows neither Protobuf nor a clock: `now` is a
/// parameter. Threads: one at a time.
class TraceStore {
public:
    using Clock = std::chrono::steady_clock;

    explicit TraceStore(const StoreOptions& options = {});

    /// Cost: constant, but for the span's own strings.
    void add(const TraceId& trace, StoredSpan span, Clock::time_point now);

    [[nodiscard]] StoreCounts counts() const noexcept;
    [[nodiscard]] std::size_t traces_kept() const noexcept { return traces_.size(); }

    /// Up to `traces_max` traces with spans not yet given out, that have been quiet long enough;
    /// the longest quiet first.
    [[nodiscard]] std::vector<FinishedTrace> take_finished(
        Clock::time_point now, std::size_t traces_max);
    /// As above without waiting for silence: for the end of the program.
    [[nodiscard]] std::vector<FinishedTrace> take_all(std::size_t traces_max);

    /// Lifetime of what these return: until the next add().
    [[nodiscard]] const StoredTrace* find(const TraceId& trace) const;
    /// The longest first, whole traces before broken ones. Cost: looks at every trace.
    [[nodiscard]] std::vector<const StoredTrace*> slowest(std::size_t traces_max) const;
    /// Those with an error, the latest first, whole traces before broken ones. Cost: as above.
    [[nodiscard]] std::vector<const StoredTrace*> failed(std::size_t traces_max) const;

private:
    using List = std::list<StoredTrace>;

    List::iterator create(const TraceId& trace);
    void add_late(std::vector<SpanId>& awaited, const StoredSpan& span);
    void forget_oldest();
    std::vector<FinishedTrace> take(std::size_t traces_max, auto&& is_ready);

    StoreOptions options_;
    StoreCounts counts_; // broken_traces: only the forgotten ones.
    List traces_;        // The longest silent first.
    std::unordered_map<TraceId, List::iterator, detail::SeededHash> by_id_;
    std::size_t broken_now_ = 0;
    std::size_t bytes_ = 0;
    // Forgotten traces, so that their late spans do not come back as new and broken traces, each
    // with the parents that would make it whole. Bounded as well: the oldest leave first.
    std::unordered_map<TraceId, std::vector<SpanId>, detail::SeededHash> forgotten_;
    std::deque<TraceId> forgotten_order_;
};

} // namespace weft::viewer
