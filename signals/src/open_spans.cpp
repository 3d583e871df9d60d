#include "span_record.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/utf8.hpp>
#include <weft/signals/open_spans.hpp>

#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <unordered_map>
#include <utility>

// The pool of records is walked up to three times: for the oldest spans, for where their chains are now, for what is
// awaited there. So the memory is bounded by the list, however many spans are open.

namespace weft {
namespace detail {
namespace {

struct Seen {
    Shown::Copy fields;
    OpenSpanState state = OpenSpanState::detached;
    std::uint32_t depth = 0;
    std::uint32_t slot_index = 0;
    std::uint32_t slot_generation = 0; // 0: in no chain.

    [[nodiscard]] std::uint64_t chain() const noexcept {
        return slot_generation == 0 ? 0 : std::uint64_t{slot_generation} << 32 | slot_index;
    }
};

// Where the record is linked, for Shown::read.
void see_place(const SpanRecord& record, Seen& seen) noexcept {
    seen.state = OpenSpanState::detached;
    seen.depth = seen.slot_index = seen.slot_generation = 0;
    const auto place = record.place.load(std::memory_order_acquire); // E4
    if (place == 0) { return; }
    const auto index = static_cast<std::uint32_t>(place >> 32) - 1;
    const ContextSlot& slot = *SlotPool::at(index);
    // acquire: of a slot that was recycled meanwhile the state is a later chain's, and then `link` is no longer linked.
    const auto held = slot.state.load(std::memory_order_acquire);
    const auto generation = slot.generation.load(std::memory_order_relaxed);          // As above.
    const bool is_ambient = slot.is_ambient.load(std::memory_order_relaxed);          // See there.
    if (record.link.load(std::memory_order_acquire) != ScopeNode::linked) { return; } // E4
    seen.depth = static_cast<std::uint32_t>(place);
    seen.slot_index = index;
    seen.slot_generation = generation;
    seen.state = is_ambient        ? OpenSpanState::thread
                 : (held & 1) != 0 ? OpenSpanState::running
                                   : OpenSpanState::suspended;
}

// Calls `visit` with each span that is open while it is looked at.
template <class Visit>
void for_each_open(Visit&& visit) {
    Seen seen;
    SpanPool::for_each([&](const SpanRecord& record) {
        if (!record.shown.is_open_now()) { return; }
        if (record.shown.read(seen.fields, [&]() noexcept { see_place(record, seen); })) {
            visit(std::as_const(seen));
        }
    });
}

bool is_older(const Seen& a, const Seen& b) noexcept {
    return a.fields.start_ns != b.fields.start_ns ? a.fields.start_ns < b.fields.start_ns
                                                  : a.depth < b.depth;
}

// A start may lie in the future: given by the caller, or later than the walk's beginning.
std::int64_t age_of(const Seen& seen, std::int64_t now) noexcept {
    return std::max<std::int64_t>(now - seen.fields.start_ns, 0);
}

std::string name_of(const Shown::Copy& fields) {
    // A varint, then the text, of which there may be only the beginning.
    std::size_t size = 0;
    std::size_t prefix = 0;
    for (bool more = true; more && prefix < 5; ++prefix) {
        const auto byte = static_cast<unsigned char>(fields.name[prefix]);
        size |= std::size_t{byte & 0x7fU} << (7 * prefix);
        more = byte >= 0x80;
    }
    const std::size_t kept = std::min(size, Shown::name_bytes - prefix);
    std::string_view text(fields.name + prefix, kept);
    if (kept == size) { return std::string(text); }
    std::size_t whole = 0; // Without what the cut has left of a code point.
    while (whole < kept) {
        const auto point = leading_code_point(text.substr(whole));
        if (!point.is_good) { break; }
        whole += point.size;
    }
    return std::string(text.substr(0, whole));
}

std::string scope_name_of(std::uint16_t scope) {
    constexpr protozero::pbf_tag_type scope_name_tag = 1;
    const auto message = encoded_scope(scope).message;
    protozero::pbf_reader reader(message.data(), message.size());
    return reader.next(scope_name_tag) ? reader.get_string() : std::string();
}

std::uint64_t key_of(const SpanId& id) noexcept {
    std::uint64_t key;
    std::memcpy(&key, id.bytes.data(), sizeof key);
    return key;
}

std::vector<Seen> oldest(const OpenSpansOptions& options, std::int64_t now) {
    std::vector<Seen> found; // A heap, the youngest on top.
    if (options.limit == 0) { return found; }
    for_each_open([&](const Seen& seen) {
        if (age_of(seen, now) < options.min_age_ns) { return; }
        if (found.size() == options.limit) {
            if (!is_older(seen, found.front())) { return; }
            std::pop_heap(found.begin(), found.end(), is_older);
            found.pop_back();
        }
        found.push_back(seen);
        std::push_heap(found.begin(), found.end(), is_older);
    });
    std::sort_heap(found.begin(), found.end(), is_older);
    return found;
}

// The innermost span of each chain that one of `spans` is in.
std::unordered_map<std::uint64_t, Seen> innermost_of(const std::vector<Seen>& spans) {
    std::unordered_map<std::uint64_t, Seen> innermost;
    for (const auto& span : spans) {
        if (span.chain() != 0) { innermost.insert_or_assign(span.chain(), span); }
    }
    if (innermost.empty()) { return innermost; }
    for_each_open([&](const Seen& seen) {
        const auto found = innermost.find(seen.chain());
        if (found != innermost.end() && seen.depth > found->second.depth) { found->second = seen; }
    });
    return innermost;
}

// `innermost` has one for each of `spans`.
void add_operations(
    std::vector<OpenSpan>& spans, const std::vector<const Seen*>& innermost, std::int64_t now) {
    std::unordered_multimap<std::uint64_t, std::size_t>
        waiting; // Innermost span, index of who waits.
    for (std::size_t i = 0; i < spans.size(); ++i) {
        waiting.emplace(key_of(innermost[i]->fields.span_id), i);
    }
    for_each_open([&](const Seen& seen) {
        if (!seen.fields.is_operation) { return; }
        const auto [begin, end] = waiting.equal_range(key_of(seen.fields.parent_span_id));
        for (auto who = begin; who != end; ++who) {
            if (innermost[who->second]->fields.trace_id != seen.fields.trace_id) { continue; }
            OpenSpan& span = spans[who->second];
            const auto age = age_of(seen, now);
            if (span.awaited_operations++ != 0 && age <= span.awaits_ns) { continue; }
            span.awaits = name_of(seen.fields);
            span.awaits_ns = age;
        }
    });
}

OpenSpan describe(const Seen& seen, const Seen& innermost, std::int64_t now) {
    OpenSpan span;
    span.name = name_of(seen.fields);
    span.trace_id = seen.fields.trace_id;
    span.span_id = seen.fields.span_id;
    span.parent_span_id = seen.fields.parent_span_id;
    span.age_ns = age_of(seen, now);
    span.kind = static_cast<SpanKind>(seen.fields.kind);
    span.scope = scope_name_of(seen.fields.scope);
    span.state = seen.state;
    span.innermost_span_id = innermost.fields.span_id;
    span.innermost_name = name_of(innermost.fields);
    span.where = seen.fields.where;
    return span;
}

} // namespace

std::pair<std::string, std::string> open_names_in_slot(std::uint32_t slot_index) {
    Seen first, second; // Depth 0: none.
    for_each_open([&](const Seen& seen) {
        if (seen.slot_generation == 0 || seen.slot_index != slot_index) { return; }
        if (seen.depth > first.depth) {
            second = std::exchange(first, seen);
        } else if (seen.depth > second.depth) {
            second = seen;
        }
    });
    return {name_of(first.fields), name_of(second.fields)};
}

} // namespace detail

std::vector<OpenSpan> open_spans(OpenSpansOptions options) {
    const auto now = steady_now_ns();
    const auto found = detail::oldest(options, now);
    const auto chains = detail::innermost_of(found);
    std::vector<OpenSpan> spans;
    std::vector<const detail::Seen*> innermost;
    for (const auto& seen : found) {
        const auto chain = chains.find(seen.chain());
        innermost.push_back(chain != chains.end() ? &chain->second : &seen);
        spans.push_back(detail::describe(seen, *innermost.back(), now));
    }
    if (!spans.empty()) { detail::add_operations(spans, innermost, now); }
    return spans;
}

std::size_t open_span_count() noexcept {
    std::size_t count = 0;
    detail::SpanPool::for_each([&](const detail::SpanRecord& record) noexcept {
        count += record.shown.is_open_now() ? 1U : 0U;
    });
    return count;
}

} // namespace weft
