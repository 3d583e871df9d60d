#include <weft/viewer/trace_store.hpp>

#include <algorithm>

namespace weft::viewer {
namespace {

// Traces remembered by id alone, for each that is kept, and how many parents with each.
constexpr std::size_t forgotten_per_trace = 4;
constexpr std::size_t awaited_remembered_max = 16;
// Of the bookkeeping for one span beside its strings: hash nodes, vector slack.
constexpr std::size_t span_overhead_bytes = 160;

std::size_t bytes_of(const TextAttributes& attributes) {
    std::size_t bytes = 0;
    for (const auto& [key, value] : attributes) {
        bytes += sizeof key * 2 + key.size() + value.size();
    }
    return bytes;
}

std::size_t bytes_of(const StoredSpan& span) {
    std::size_t bytes = sizeof span + span_overhead_bytes + span.service.size() + span.name.size() +
                        span.error.size() + bytes_of(span.attributes);
    for (const StoredEvent& event : span.events) {
        bytes += sizeof event + event.name.size() + bytes_of(event.attributes);
    }
    return bytes;
}

template <class Traces, class Better>
std::vector<const StoredTrace*> best(Traces chosen, std::size_t traces_max, Better better) {
    std::stable_sort(chosen.begin(), chosen.end(), [&](const StoredTrace* a, const StoredTrace* b) {
        if (a->is_broken() != b->is_broken()) { return b->is_broken(); }
        return better(*a, *b);
    });
    chosen.resize(std::min(chosen.size(), traces_max));
    return chosen;
}

} // namespace

std::uint64_t StoredTrace::duration_ns() const noexcept {
    return end_ns_ > start_ns_ ? end_ns_ - start_ns_ : 0;
}

bool StoredTrace::add(StoredSpan&& span) {
    if (!ids_.insert(span.id).second) { return false; }
    if (const auto waiting = awaited_.find(span.id); waiting != awaited_.end()) {
        missing_ -= waiting->second;
        awaited_.erase(waiting);
    }
    if (!span.parent.is_valid()) {
        ++roots_;
    } else if (!ids_.contains(span.parent)) {
        ++awaited_[span.parent];
        ++missing_;
    }
    if (span.is_error()) { ++errors_; }
    start_ns_ = std::min(start_ns_, span.start_ns);
    end_ns_ = std::max(end_ns_, span.end_ns);
    bytes_ += bytes_of(span);
    spans_.push_back(std::move(span));
    return true;
}

TraceStore::TraceStore(const StoreOptions& options) : options_(options) {
    options_.traces_max = std::max<std::size_t>(options_.traces_max, 1);
}

TraceStore::List::iterator TraceStore::create(const TraceId& trace) {
    if (traces_.size() >= options_.traces_max) { forget_oldest(); }
    ++counts_.traces;
    const auto entry = traces_.emplace(traces_.end(), trace);
    by_id_.emplace(trace, entry);
    return entry;
}

void TraceStore::add(const TraceId& trace, StoredSpan span, Clock::time_point now) {
    auto found = by_id_.find(trace);
    if (found == by_id_.end()) {
        if (const auto late = forgotten_.find(trace); late != forgotten_.end()) {
            return add_late(late->second, span);
        }
    }
    const auto entry = found != by_id_.end() ? found->second : create(trace);
    const bool was_broken = entry->is_broken();
    const std::size_t bytes_before = entry->bytes_;
    if (!entry->add(std::move(span))) {
        ++counts_.duplicate_spans;
        return;
    }
    ++counts_.spans;
    bytes_ += entry->bytes_ - bytes_before;
    broken_now_ += entry->is_broken() ? 1 : 0;
    broken_now_ -= was_broken ? 1 : 0;
    entry->last_arrival_ = now;
    traces_.splice(traces_.end(), traces_, entry);
    // Ends: each turn removes a trace. The last to go is the one just added to, when it alone is
    // too large.
    while (bytes_ > options_.bytes_max && !traces_.empty()) { forget_oldest(); }
}

// A trace is often forgotten between the batches of two services. Its own parents are not looked
// for: whether they came before is no longer known.
void TraceStore::add_late(std::vector<SpanId>& awaited, const StoredSpan& span) {
    ++counts_.spans;
    ++counts_.late_spans;
    if (std::erase(awaited, span.id) > 0 && awaited.empty()) { --counts_.broken_traces; }
}

void TraceStore::forget_oldest() {
    const StoredTrace& oldest = traces_.front();
    std::vector<SpanId> awaited;
    if (oldest.is_broken()) {
        --broken_now_;
        ++counts_.broken_traces;
        if (oldest.awaited_.size() <= awaited_remembered_max) {
            for (const auto& [parent, children] : oldest.awaited_) { awaited.push_back(parent); }
        }
    }
    ++counts_.forgotten_traces;
    bytes_ -= oldest.bytes_;
    if (forgotten_order_.size() >= options_.traces_max * forgotten_per_trace) {
        forgotten_.erase(forgotten_order_.front());
        forgotten_order_.pop_front();
    }
    forgotten_.emplace(oldest.id(), std::move(awaited));
    forgotten_order_.push_back(oldest.id());
    by_id_.erase(oldest.id());
    traces_.pop_front();
}

StoreCounts TraceStore::counts() const noexcept {
    StoreCounts counts = counts_;
    counts.broken_traces += broken_now_;
    return counts;
}

std::vector<FinishedTrace> TraceStore::take(std::size_t traces_max, auto&& is_ready) {
    std::vector<FinishedTrace> taken;
    for (StoredTrace& trace : traces_) {
        if (taken.size() >= traces_max) { break; }
        if (trace.spans_shown_ == trace.spans_.size() || !is_ready(trace)) { continue; }
        taken.push_back({&trace, trace.spans_shown_});
        trace.spans_shown_ = trace.spans_.size();
    }
    return taken;
}

std::vector<FinishedTrace> TraceStore::take_finished(
    Clock::time_point now, std::size_t traces_max) {
    return take(traces_max, [&](const StoredTrace& trace) {
        const bool whole = trace.has_root() && !trace.is_broken();
        return now - trace.last_arrival_ >= (whole ? options_.quiet_whole : options_.quiet_broken);
    });
}

std::vector<FinishedTrace> TraceStore::take_all(std::size_t traces_max) {
    return take(traces_max, [](const StoredTrace&) { return true; });
}

const StoredTrace* TraceStore::find(const TraceId& trace) const {
    const auto found = by_id_.find(trace);
    return found == by_id_.end() ? nullptr : &*found->second;
}

std::vector<const StoredTrace*> TraceStore::slowest(std::size_t traces_max) const {
    std::vector<const StoredTrace*> all;
    for (const StoredTrace& trace : traces_) { all.push_back(&trace); }
    return best(std::move(all), traces_max, [](const StoredTrace& a, const StoredTrace& b) {
        return a.duration_ns() > b.duration_ns();
    });
}

std::vector<const StoredTrace*> TraceStore::failed(std::size_t traces_max) const {
    std::vector<const StoredTrace*> all;
    for (auto trace = traces_.rbegin(); trace != traces_.rend(); ++trace) {
        if (trace->error_count() > 0) { all.push_back(&*trace); }
    }
    return best(
        std::move(all), traces_max, [](const StoredTrace&, const StoredTrace&) { return false; });
}

} // namespace weft::viewer
