#include "span_record.hpp"
#include "type_name.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/detail/span_processors.hpp>

#include <exception>
#include <string>
#include <typeinfo>
#include <utility>

namespace weft {
namespace detail {

/// Makes the views that only processors get.
struct SpanViews {
    static ReadWriteSpan writable(SpanRecord& record) noexcept { return ReadWriteSpan(record); }
    struct Readable : ReadableSpan {
        explicit Readable(const SpanRecord& record) noexcept : ReadableSpan(record) {}
    };
};

namespace {

constinit std::atomic<std::uint64_t> faults{0}; // Written by any thread; relaxed: a count.

// A processor runs on this thread. What it starts itself is shown to none, or there would be no end to it.
constinit thread_local bool is_inside = false;

class Inside {
public:
    Inside() noexcept : before_(std::exchange(is_inside, true)) {}
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { is_inside = before_; }

private:
    const bool before_;
};

void report(const SpanProcessor& processor, const char* function, const char* what) noexcept {
    faults.fetch_add(1, std::memory_order_relaxed); // A counter.
    diagnostics().report(DiagnosticLevel::error, "span_processor", [&] {
        return std::string("the span processor ") +
               std::string(TypeName(typeid(processor)).view()) + " threw in " + function + ": " +
               printable(what, 500) + "; its other calls, the span and the other processors go on";
    });
}

// False when it threw.
template <class Call>
bool contain(SpanProcessor& processor, const char* function, const Call& call) noexcept {
    try {
        call(processor);
        return true;
    } catch (const std::exception& error) {
        report(processor, function, error.what());
    } catch (...) { report(processor, function, "not a std::exception"); }
    return false;
}

bool is_open(const SpanRecord& record) noexcept {
    // What was begun before the fork that made this process is its parent's to report.
    const auto& gate = record.provider->gate;
    return gate.is_open() && gate.generation() == record.generation;
}

} // namespace

void SpanProcessors::start(
    SpanRecord& record, const SpanContext& parent, const TraceState& state) noexcept {
    record.is_shown = !is_inside && is_open(record);
    if (!record.is_shown) { return; }
    const Inside inside;
    record.end_unix_ns = 0; // Of the span that had the record before.
    auto span = SpanViews::writable(record);
    const TraceContext context{parent, state};
    for (const auto& processor : list_) {
        contain(*processor, "on_start", [&](auto& it) { it.on_start(span, context); });
    }
}

void SpanProcessors::end(SpanRecord& record) noexcept {
    if (record.is_shown && is_open(record)) {
        const Inside inside;
        auto span = SpanViews::writable(record);
        for (const auto& processor : list_) {
            contain(*processor, "on_ending", [&](auto& it) { it.on_ending(span); });
        }
        record.recording = false; // It is still current: nobody may change it any more.
        const SpanViews::Readable ended(record);
        for (const auto& processor : list_) {
            contain(*processor, "on_end", [&](auto& it) { it.on_end(ended); });
        }
        record.recording = true;
    }
    if (!is_exported_) {
        record.body.release();
        record.recording = false;
    }
}

bool SpanProcessors::force_flush(SpanProcessor::TimePoint deadline) noexcept {
    bool all = true;
    for (const auto& processor : list_) {
        const bool returned = contain(
            *processor, "force_flush", [&](auto& it) { all = it.force_flush(deadline) && all; });
        all = all && returned;
    }
    return all;
}

bool SpanProcessors::shutdown(SpanProcessor::TimePoint deadline) noexcept {
    // relaxed: it only decides who is first.
    if (is_shut_down_.exchange(true, std::memory_order_relaxed)) { return true; }
    bool all = true;
    for (const auto& processor : list_) {
        const bool returned =
            contain(*processor, "shutdown", [&](auto& it) { all = it.shutdown(deadline) && all; });
        all = all && returned;
    }
    return all;
}

} // namespace detail

SpanProcessor::~SpanProcessor() = default;
void SpanProcessor::on_start(ReadWriteSpan&, const TraceContext&) {}
void SpanProcessor::on_ending(ReadWriteSpan&) {}
void SpanProcessor::on_end(const ReadableSpan&) {}
bool SpanProcessor::force_flush(TimePoint) { return true; }
bool SpanProcessor::shutdown(TimePoint) { return true; }

std::uint64_t span_processor_faults() noexcept {
    return detail::faults.load(std::memory_order_relaxed); // A counter.
}

} // namespace weft
