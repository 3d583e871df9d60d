#pragma once
// The stage of the drain that decides on whole traces: see TailSampling for what it does.
//
//   add ──▶ open traces ──root ended──▶ ended traces ──linger──▶ decide ──▶ kept records ──front, pop──▶ batch
//              └────────────────window─────────────────────────────┘  └──▶ dropped, counted
//
// I1  A record is in exactly one of: an open or ended trace, the kept list, or counted as dropped.
// I2  bytes() <= bytes_max at every moment: room is made before a record is copied. What is kept leaves first: no trace is
//     decided early for want of room that `pop` would give.
// I3  Both lists of traces are in the order in which they fall due, because each delay is a constant.
//
// Memory of decisions and of routes is a table of fixed size in sets of eight, the longest unused place being taken.
// Time is a parameter. Threads: one at a time (the drain's).

#include <weft/exporters/tail_sampling.hpp>
#include <weft/runtime/record.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft::detail {

/// What a tail decision needs of a span's bytes.
struct SpanFields {
    std::string_view name;
    std::string_view trace_state;
    std::string_view message; ///< The Span message inside the record's body.
    std::string_view
        trace_state_field; ///< Tag and length included; empty without one. Points into `message`.
};
/// False for what is not one `spans` field of ScopeSpans.
[[nodiscard]] bool read_span_fields(std::span<const std::byte> body, SpanFields& fields) noexcept;
/// The record's body with `th` set to the threshold, in `out`; the body as it is where it cannot be read.
/// Errors: std::bad_alloc.
[[nodiscard]] std::span<const std::byte> body_with_threshold(
    std::span<const std::byte> body, std::uint64_t threshold, std::string& out);

/// A running picture of how long traces of one name take: counts by quarters of an octave, halved when they have
/// become many, so that the old fades.
class LatencyHistogram {
public:
    void add(std::int64_t duration_ns) noexcept;
    /// Whether the duration lies above the share `quantile` of what was added. False before there is enough.
    [[nodiscard]] bool is_above(std::int64_t duration_ns, double quantile) const noexcept;

private:
    static constexpr std::size_t steps = 4; // An octave.
    static constexpr std::size_t octaves = 31;
    static constexpr std::uint32_t total_min = 100;
    static constexpr std::uint32_t total_max = 4096;
    [[nodiscard]] static std::size_t bucket_of(std::int64_t duration_ns) noexcept;

    std::array<std::uint16_t, steps * octaves> counts_{};
    std::uint32_t total_ = 0;
};

class TailSampler {
public:
    /// Errors: std::bad_alloc.
    explicit TailSampler(const TailSampling& options);
    TailSampler(const TailSampler&) = delete;
    TailSampler& operator=(const TailSampler&) = delete;
    ~TailSampler();

    /// `no_room`: kept records take it up; take them with `pop` first.
    /// `no_memory`: or it is larger than `bytes_max` has room for.
    enum class Added : std::uint8_t { taken, no_room, no_memory };
    /// Takes a copy of a record. `index` comes back with it. Units of `now_ns`: steady nanoseconds.
    Added add(const Record& record, std::uint64_t index, std::int64_t now_ns) noexcept;
    /// Decides on the traces that are due.
    void decide_due(std::int64_t now_ns) noexcept;
    /// Decides on all.
    void decide_all(std::int64_t now_ns) noexcept;
    /// When `decide_due` has something to do; the largest number when nothing waits.
    [[nodiscard]] std::int64_t next_due_ns() const noexcept;

    /// The next kept record. Lifetime: until any other call. Errors: std::bad_alloc, with the record still there.
    [[nodiscard]] bool has_kept() const noexcept { return kept_head_ != nullptr; }
    struct Kept {
        Record record;
        std::uint64_t index = 0;
    };
    [[nodiscard]] Kept front();
    void pop() noexcept;

    /// No record here has a smaller index (a lower bound). The largest number when there is none.
    [[nodiscard]] std::uint64_t first_index() const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Units: records that a decision dropped since the last call.
    [[nodiscard]] std::uint64_t take_dropped() noexcept;
    [[nodiscard]] std::uint64_t records() const noexcept { return held_records_ + kept_records_; }

    struct Counts { // Of traces; late ones of records.
        std::uint64_t errors = 0;
        std::uint64_t slow = 0;
        std::uint64_t rare = 0;
        std::uint64_t by_probability = 0;
        std::uint64_t dropped = 0;
        std::uint64_t outlived_window = 0; ///< Decided without a root, because time was up.
        std::uint64_t decided_early = 0;   ///< Decided for want of room.
        std::uint64_t late_kept = 0;
        std::uint64_t late_dropped = 0;
    };
    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

private:
    struct Held;
    struct Trace;
    struct TraceList { // Of traces, by when they fall due.
        Trace* first = nullptr;
        Trace* last = nullptr;
        void append(Trace& trace) noexcept;
        void remove(Trace& trace) noexcept;
    };
    // What is to be done with records of a trace: a threshold to write, or one of these.
    static constexpr std::uint64_t keep_as_is = std::uint64_t{1} << 56;
    static constexpr std::uint64_t drop = keep_as_is + 1;
    struct Decision {
        TraceId id;
        std::uint64_t verdict = drop;
        std::uint64_t used = 0; // By `clock_`: 0 for an empty place.
    };
    struct Route {
        std::uint64_t hash = 0;
        std::uint64_t used = 0;
        std::int64_t minute = 0;
        std::uint32_t traces_in_minute = 0;
        LatencyHistogram latencies;
    };
    static constexpr std::size_t ways = 8;

    [[nodiscard]] Decision* find_decision(const TraceId& id) noexcept;
    void remember(const TraceId& id, std::uint64_t verdict) noexcept;
    [[nodiscard]] Route& route_of(std::uint64_t hash) noexcept;
    [[nodiscard]] bool is_slow(std::int64_t duration_ns) const noexcept;
    [[nodiscard]] bool is_rare(Route& route, std::int64_t now_ns) noexcept;
    [[nodiscard]] Added add_late(
        Decision& decision, const Record& record, std::uint64_t index,
        std::int64_t now_ns) noexcept;
    [[nodiscard]] bool make_room(std::size_t bytes, std::int64_t now_ns) noexcept;
    // Without room: a record that does not fit even alone never will.
    [[nodiscard]] Added refusal() const noexcept {
        return has_kept() ? Added::no_room : Added::no_memory;
    }
    [[nodiscard]] static Held* copy(const Record& record, std::uint64_t index) noexcept;
    void look_at_root(Trace& trace, const Record& record) noexcept;
    void decide(Trace& trace, std::int64_t now_ns) noexcept;
    [[nodiscard]] std::uint64_t verdict_on(Trace& trace, std::int64_t now_ns) noexcept;
    [[nodiscard]] std::uint64_t by_probability(const Trace& trace) noexcept;
    void keep(Held* held, std::uint64_t threshold) noexcept;
    void release(Held* held) noexcept;

    const TailSampling options_;
    std::vector<Decision> decisions_;
    std::vector<Route> routes_;
    std::unordered_map<TraceId, Trace>
        traces_; // Never rehashed: room for all that bytes_max allows.
    TraceList open_;
    TraceList ended_;
    Held* kept_head_ = nullptr;
    Held* kept_tail_ = nullptr;
    std::string scratch_; // The body of front(), where it had to be changed.
    std::size_t bytes_ = 0;
    std::uint64_t held_records_ = 0;
    std::uint64_t kept_records_ = 0;
    std::uint64_t held_first_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t kept_first_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t dropped_ = 0;
    std::uint64_t clock_ = 0; // Counts uses of the tables.
    std::int64_t rare_minute_ = 0;
    std::uint64_t rare_in_minute_ = 0;
    Counts counts_;
};

} // namespace weft::detail
