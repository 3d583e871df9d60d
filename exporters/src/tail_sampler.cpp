#include "tail_sampler.hpp"

#include <weft/signals/probability.hpp>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <new>
#include <optional>

namespace weft {
namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t minute_ns = 60'000 * ms;
constexpr std::size_t allocation_overhead = 16; // What the heap adds to a block, about.

} // namespace

std::string problem_in(const TailSampling& options) {
    using Ms = std::int64_t;
    const auto range = [](std::string_view field, auto value, auto low, auto high,
                          std::string_view unit) {
        if (value >= low && value <= high) { return std::string(); }
        return fmt::format(
            "TailSampling::{} is {}: allowed is {} to {}{}", field, value, low, high, unit);
    };
    for (auto problem :
         {range("window", Ms{options.window.count()}, Ms{1}, Ms{3'600'000}, " ms"),
          range("linger", Ms{options.linger.count()}, Ms{0}, Ms{60'000}, " ms"),
          range(
              "latency", Ms{options.latency.count()}, Ms{0}, Ms{options.window.count()},
              " ms, TailSampling::window"),
          range("latency_percentile", options.latency_percentile, 0.0, 0.9999, ""),
          range("rare_per_minute", options.rare_per_minute, 0U, 1'000'000U, ""),
          range("probability", options.probability, 0.0, 1.0, ""),
          range(
              "bytes_max", options.bytes_max, std::size_t{1} << 20, std::size_t{4} << 30, " bytes"),
          range("decisions_max", options.decisions_max, std::size_t{64}, std::size_t{1} << 24, ""),
          range("routes_max", options.routes_max, std::size_t{8}, std::size_t{65'536}, "")}) {
        if (!problem.empty()) { return problem; }
    }
    const auto tables =
        std::bit_ceil(options.decisions_max) * 32 + std::bit_ceil(options.routes_max) * 300;
    if (tables > options.bytes_max / 2) {
        return fmt::format(
            "TailSampling::bytes_max is {}: its tables alone take {} bytes; allowed is twice that "
            "or more, or less decisions_max and routes_max",
            options.bytes_max, tables);
    }
    return {};
}

namespace detail {

bool read_span_fields(std::span<const std::byte> body, SpanFields& fields) noexcept {
    constexpr protozero::pbf_tag_type scope_spans_spans = 2;
    constexpr protozero::pbf_tag_type span_trace_state = 3;
    constexpr protozero::pbf_tag_type span_name = 5;
    try {
        protozero::pbf_reader outer(reinterpret_cast<const char*>(body.data()), body.size());
        if (!outer.next(scope_spans_spans, protozero::pbf_wire_type::length_delimited)) {
            return false;
        }
        const auto message = outer.get_view();
        if (outer.next()) { return false; }
        fields.message = {message.data(), message.size()};
        protozero::pbf_reader span(message);
        const char* begin = message.data(); // Of the field.
        while (span.next()) {
            if (span.has_wire_type(protozero::pbf_wire_type::length_delimited)) {
                const auto tag = span.tag();
                const auto view = span.get_view();
                if (tag == span_name) { fields.name = {view.data(), view.size()}; }
                if (tag == span_trace_state) {
                    fields.trace_state = {view.data(), view.size()};
                    fields.trace_state_field = {
                        begin, static_cast<std::size_t>(view.data() + view.size() - begin)};
                }
            } else {
                span.skip();
            }
            begin = span.data().data();
        }
        return true;
    } catch (const protozero::exception&) { return false; }
}

std::span<const std::byte> body_with_threshold(
    std::span<const std::byte> body, std::uint64_t threshold, std::string& out) {
    constexpr char tag_spans = 0x12;
    constexpr char tag_trace_state = 0x1a;
    SpanFields fields;
    if (!read_span_fields(body, fields)) { return body; }
    TraceStateBuffer buffer;
    const auto state = with_threshold(fields.trace_state, threshold, buffer);
    char digits[10];
    const auto length = [&](std::size_t value) {
        return std::string_view(
            digits, static_cast<std::size_t>(protozero::add_varint_to_buffer(digits, value)));
    };
    const auto state_field =
        1 + static_cast<std::size_t>(protozero::length_of_varint(state.size())) + state.size();
    out.clear();
    out += tag_spans;
    out += length(fields.message.size() - fields.trace_state_field.size() + state_field);
    const auto old = fields.trace_state_field;
    const auto at = old.empty() ? fields.message.size()
                                : static_cast<std::size_t>(old.data() - fields.message.data());
    out += fields.message.substr(0, at);
    out += tag_trace_state;
    out += length(state.size());
    out += state;
    out += fields.message.substr(at + old.size());
    return std::as_bytes(std::span(out));
}

std::size_t LatencyHistogram::bucket_of(std::int64_t duration_ns) noexcept {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(duration_ns, 0)) / 1000 + 4;
    const auto octave = static_cast<std::size_t>(std::bit_width(us)) - 3; // From 4 up.
    const auto step = us >> octave & (steps - 1);
    return std::min(octave * steps + step, steps * octaves - 1);
}

void LatencyHistogram::add(std::int64_t duration_ns) noexcept {
    if (total_ >= total_max) {
        total_ = 0;
        for (auto& count : counts_) { total_ += count /= 2; }
    }
    ++counts_[bucket_of(duration_ns)];
    ++total_;
}

bool LatencyHistogram::is_above(std::int64_t duration_ns, double quantile) const noexcept {
    if (total_ < total_min) { return false; }
    const auto bucket = bucket_of(duration_ns);
    std::uint32_t below = 0;
    for (std::size_t i = 0; i < bucket; ++i) { below += counts_[i]; }
    return below >= quantile * total_;
}

struct TailSampler::Held {
    Held* next = nullptr;
    std::uint64_t index = 0;
    std::uint64_t threshold = keep_as_is; // To be written when it leaves.
    RecordHeader header;
    std::uint32_t size = 0; // Of the body, which follows.

    [[nodiscard]] static std::size_t cost(std::size_t body) noexcept {
        return sizeof(Held) + body + allocation_overhead;
    }
    [[nodiscard]] std::byte* body() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

struct TailSampler::Trace {
    TraceId id;
    Trace* previous = nullptr;
    Trace* next = nullptr;
    Held* first = nullptr;
    Held* last = nullptr;
    std::int64_t first_seen_ns = 0;
    std::int64_t due_ns = 0;
    std::int64_t start_unix_ns = std::numeric_limits<std::int64_t>::max();
    std::int64_t end_unix_ns = std::numeric_limits<std::int64_t>::min();
    std::int64_t root_ns = 0;     // The longest local root's duration.
    std::uint64_t route_hash = 0; // Of the local root's name.
    bool has_root = false;
    bool has_error = false;

    // With what the map adds: a pointer, the hash, the heap's.
    [[nodiscard]] static constexpr std::size_t cost() noexcept;
};
constexpr std::size_t TailSampler::Trace::cost() noexcept {
    return sizeof(std::pair<const TraceId, Trace>) + 2 * sizeof(void*) + allocation_overhead;
}

void TailSampler::TraceList::append(Trace& trace) noexcept {
    trace.previous = last;
    trace.next = nullptr;
    (last != nullptr ? last->next : first) = &trace;
    last = &trace;
}

void TailSampler::TraceList::remove(Trace& trace) noexcept {
    (trace.previous != nullptr ? trace.previous->next : first) = trace.next;
    (trace.next != nullptr ? trace.next->previous : last) = trace.previous;
}

TailSampler::TailSampler(const TailSampling& options)
    : options_(options), decisions_(std::bit_ceil(options.decisions_max)),
      routes_(std::bit_ceil(options.routes_max)) {
    static_assert(sizeof(Decision) == 32 && sizeof(Route) <= 300, "what TailSampling promises");
    const auto tables = decisions_.size() * sizeof(Decision) + routes_.size() * sizeof(Route);
    const auto left = options.bytes_max - tables;
    traces_.reserve(left / (Trace::cost() + Held::cost(0) + sizeof(void*)));
    bytes_ = tables + traces_.bucket_count() * sizeof(void*);
}

TailSampler::~TailSampler() {
    for (auto& [id, trace] : traces_) {
        while (trace.first != nullptr) { release(std::exchange(trace.first, trace.first->next)); }
    }
    while (has_kept()) { pop(); }
}

TailSampler::Added TailSampler::add(
    const Record& record, std::uint64_t index, std::int64_t now_ns) noexcept {
    const auto& header = record.header;
    if (auto* decision = find_decision(header.trace_id); decision != nullptr) {
        return add_late(*decision, record, index, now_ns);
    }
    if (!make_room(Held::cost(record.body.size()) + Trace::cost(), now_ns)) { return refusal(); }
    // Making room may have decided on this very trace.
    if (auto* decision = find_decision(header.trace_id); decision != nullptr) {
        return add_late(*decision, record, index, now_ns);
    }
    Held* const held = copy(record, index);
    if (held == nullptr) { return Added::no_memory; }
    auto found = traces_.find(header.trace_id);
    if (found == traces_.end()) {
        try {
            found = traces_.try_emplace(header.trace_id).first;
        } catch (const std::bad_alloc&) {
            ::operator delete(held);
            return Added::no_memory;
        }
        auto& fresh = found->second;
        fresh.id = header.trace_id;
        fresh.first_seen_ns = now_ns;
        fresh.due_ns = now_ns + options_.window.count() * ms;
        bytes_ += Trace::cost();
        open_.append(fresh);
    }
    Trace& trace = found->second;
    (trace.last != nullptr ? trace.last->next : trace.first) = held;
    trace.last = held;
    bytes_ += Held::cost(held->size);
    ++held_records_;
    held_first_ = std::min(held_first_, index);
    trace.start_unix_ns = std::min(trace.start_unix_ns, header.start_unix_ns);
    trace.end_unix_ns = std::max(trace.end_unix_ns, header.end_unix_ns);
    trace.has_error |= (header.flags & record_flags::error) != 0;
    if ((header.flags & record_flags::local_root) != 0) {
        if (!trace.has_root) {
            open_.remove(trace);
            trace.due_ns = now_ns + options_.linger.count() * ms;
            ended_.append(trace);
        }
        look_at_root(trace, record);
    }
    return Added::taken;
}

void TailSampler::look_at_root(Trace& trace, const Record& record) noexcept {
    const auto duration = record.header.end_unix_ns - record.header.start_unix_ns;
    if (!trace.has_root || duration > trace.root_ns) {
        SpanFields fields;
        if (read_span_fields(record.body, fields)) {
            trace.route_hash = std::hash<std::string_view>()(fields.name);
        }
        trace.root_ns = duration;
    }
    trace.has_root = true;
}

// A span of a trace that is decided: it follows, unless it is what the decision should have known.
TailSampler::Added TailSampler::add_late(
    Decision& decision, const Record& record, std::uint64_t index, std::int64_t now_ns) noexcept {
    const auto& header = record.header;
    decision.used = ++clock_;
    if (decision.verdict == drop) {
        const bool error = options_.keep_errors && (header.flags & record_flags::error) != 0;
        const bool slow = (header.flags & record_flags::local_root) != 0 &&
                          is_slow(header.end_unix_ns - header.start_unix_ns);
        if (!error && !slow) {
            ++dropped_;
            ++counts_.late_dropped;
            return Added::taken;
        }
    }
    const auto verdict = decision.verdict == drop ? keep_as_is : decision.verdict;
    const TraceId id = header.trace_id;
    if (!make_room(Held::cost(record.body.size()), now_ns)) { return refusal(); }
    Held* const held = copy(record, index);
    if (held == nullptr) { return Added::no_memory; }
    if (decision.verdict == drop) { remember(id, keep_as_is); }
    bytes_ += Held::cost(held->size);
    ++counts_.late_kept;
    keep(held, verdict);
    return Added::taken;
}

// Decides on the oldest traces until there is room, those first whose root has ended (I2).
bool TailSampler::make_room(std::size_t bytes, std::int64_t now_ns) noexcept {
    while (bytes_ + bytes > options_.bytes_max) { // Bound: each turn decides on a trace.
        if (has_kept()) { return false; }
        Trace* const oldest = ended_.first != nullptr ? ended_.first : open_.first;
        if (oldest == nullptr) { return false; }
        ++counts_.decided_early;
        decide(*oldest, now_ns);
    }
    return true;
}

TailSampler::Held* TailSampler::copy(const Record& record, std::uint64_t index) noexcept {
    void* place = nullptr;
    try {
        place = ::operator new(sizeof(Held) + record.body.size());
    } catch (const std::bad_alloc&) { return nullptr; }
    auto* const held = new (place) Held;
    held->index = index;
    held->header = record.header;
    held->size = static_cast<std::uint32_t>(record.body.size());
    if (!record.body.empty()) { std::memcpy(held->body(), record.body.data(), record.body.size()); }
    return held;
}

void TailSampler::release(Held* held) noexcept {
    bytes_ -= Held::cost(held->size);
    ::operator delete(held);
}

void TailSampler::keep(Held* held, std::uint64_t threshold) noexcept {
    held->threshold = threshold;
    held->next = nullptr;
    (kept_tail_ != nullptr ? kept_tail_->next : kept_head_) = held;
    kept_tail_ = held;
    ++kept_records_;
    kept_first_ = std::min(kept_first_, held->index);
}

void TailSampler::decide_due(std::int64_t now_ns) noexcept {
    while (ended_.first != nullptr && ended_.first->due_ns <= now_ns) { // Bound: one trace a turn.
        decide(*ended_.first, now_ns);
    }
    while (open_.first != nullptr && open_.first->due_ns <= now_ns) { // Bound: as above.
        ++counts_.outlived_window;
        decide(*open_.first, now_ns);
    }
}

void TailSampler::decide_all(std::int64_t now_ns) noexcept {
    while (ended_.first != nullptr) { decide(*ended_.first, now_ns); } // Bound: one trace a turn.
    while (open_.first != nullptr) { decide(*open_.first, now_ns); }   // Bound: as above.
}

std::int64_t TailSampler::next_due_ns() const noexcept {
    auto at = std::numeric_limits<std::int64_t>::max();
    if (ended_.first != nullptr) { at = std::min(at, ended_.first->due_ns); }
    if (open_.first != nullptr) { at = std::min(at, open_.first->due_ns); }
    return at;
}

void TailSampler::decide(Trace& trace, std::int64_t now_ns) noexcept {
    const auto verdict = verdict_on(trace, now_ns);
    remember(trace.id, verdict);
    if (verdict == drop) { ++counts_.dropped; }
    while (trace.first != nullptr) { // Bound: the trace's records.
        Held* const held = std::exchange(trace.first, trace.first->next);
        --held_records_;
        if (verdict == drop) {
            ++dropped_;
            release(held);
        } else {
            keep(held, verdict);
        }
    }
    (trace.has_root ? ended_ : open_).remove(trace);
    bytes_ -= Trace::cost();
    traces_.erase(TraceId(trace.id)); // By a copy: the trace goes with it.
    if (traces_.empty()) { held_first_ = std::numeric_limits<std::uint64_t>::max(); }
}

std::uint64_t TailSampler::verdict_on(Trace& trace, std::int64_t now_ns) noexcept {
    // Of a trace without a root it is only known that it takes at least so long.
    const auto duration =
        trace.has_root
            ? trace.root_ns
            : std::max(trace.end_unix_ns - trace.start_unix_ns, now_ns - trace.first_seen_ns);
    bool stands_out = false;
    bool rare = false;
    if (trace.has_root) {
        Route& route = route_of(trace.route_hash);
        stands_out = options_.latency_percentile > 0 &&
                     route.latencies.is_above(duration, options_.latency_percentile);
        if (options_.latency_percentile > 0) { route.latencies.add(duration); }
        rare = is_rare(route, now_ns);
    }
    if (options_.keep_errors && trace.has_error) {
        ++counts_.errors;
        return keep_as_is;
    }
    if (is_slow(duration) || stands_out) {
        ++counts_.slow;
        return keep_as_is;
    }
    if (rare) {
        ++counts_.rare;
        return keep_as_is;
    }
    return by_probability(trace);
}

bool TailSampler::is_slow(std::int64_t duration_ns) const noexcept {
    return options_.latency.count() > 0 && duration_ns >= options_.latency.count() * ms;
}

// Counts the trace. Names without end must not make everything rare: the names that there are statistics for are as
// many as can be.
bool TailSampler::is_rare(Route& route, std::int64_t now_ns) noexcept {
    const auto minute = now_ns / minute_ns;
    if (std::exchange(route.minute, minute) != minute) { route.traces_in_minute = 0; }
    if (std::exchange(rare_minute_, minute) != minute) { rare_in_minute_ = 0; }
    if (route.traces_in_minute >= options_.rare_per_minute) { return false; }
    ++route.traces_in_minute;
    return rare_in_minute_++ < routes_.size() * options_.rare_per_minute;
}

// The head's and our probability, one after the other, are one sampling by their product: of the traces with R >= T of
// the head, those with R >= T of the product remain.
std::uint64_t TailSampler::by_probability(const Trace& trace) noexcept {
    SpanFields fields;
    std::string_view state;
    if (read_span_fields({trace.first->body(), trace.first->size}, fields)) {
        state = fields.trace_state;
    }
    const auto head = read_sampling_state(state).threshold.value_or(0);
    const auto threshold = threshold_of(probability_of(head) * options_.probability);
    if (threshold >= threshold_never || randomness_of(trace.id, state) < threshold) { return drop; }
    ++counts_.by_probability;
    return options_.probability >= 1.0 ? keep_as_is : threshold;
}

TailSampler::Kept TailSampler::front() {
    Held& held = *kept_head_;
    Kept kept{{held.header, {held.body(), held.size}}, held.index};
    if (held.threshold != keep_as_is) {
        kept.record.body = body_with_threshold(kept.record.body, held.threshold, scratch_);
    }
    return kept;
}

void TailSampler::pop() noexcept {
    Held* const held = kept_head_;
    kept_head_ = held->next;
    if (kept_head_ == nullptr) {
        kept_tail_ = nullptr;
        kept_first_ = std::numeric_limits<std::uint64_t>::max();
    }
    --kept_records_;
    release(held);
}

std::uint64_t TailSampler::first_index() const noexcept {
    return std::min(held_first_, kept_first_);
}

std::uint64_t TailSampler::take_dropped() noexcept { return std::exchange(dropped_, 0); }

TailSampler::Decision* TailSampler::find_decision(const TraceId& id) noexcept {
    Decision* const set =
        decisions_.data() + (std::hash<TraceId>()(id) * ways & (decisions_.size() - 1));
    for (std::size_t i = 0; i < ways; ++i) {
        if (set[i].used != 0 && set[i].id == id) { return set + i; }
    }
    return nullptr;
}

void TailSampler::remember(const TraceId& id, std::uint64_t verdict) noexcept {
    Decision* place = find_decision(id);
    if (place == nullptr) {
        place = decisions_.data() + (std::hash<TraceId>()(id) * ways & (decisions_.size() - 1));
        place = std::min_element(place, place + ways, [](const Decision& a, const Decision& b) {
            return a.used < b.used;
        });
    }
    *place = {id, verdict, ++clock_};
}

TailSampler::Route& TailSampler::route_of(std::uint64_t hash) noexcept {
    Route* const set = routes_.data() + ((hash >> 8) * ways & (routes_.size() - 1));
    Route* oldest = set;
    for (Route* route = set; route != set + ways; ++route) {
        if (route->used != 0 && route->hash == hash) {
            route->used = ++clock_;
            return *route;
        }
        if (route->used < oldest->used) { oldest = route; }
    }
    *oldest = Route{};
    oldest->hash = hash;
    oldest->used = ++clock_;
    return *oldest;
}

} // namespace detail
} // namespace weft
