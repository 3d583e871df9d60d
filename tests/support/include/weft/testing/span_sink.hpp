#pragma once
// Where spans go in tests: a provider whose queue the test empties itself.

#include <weft/runtime/record.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <protozero/pbf_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft::testing {

/// A span that has left the program: its record, and the fields that tell where it belongs.
struct SunkSpan {
    RecordHeader header;
    std::string body;    ///< The whole record body: one `spans` field of ScopeSpans.
    std::string message; ///< The Span message inside it; empty when the body is anything else.
    std::string name;
    SpanId parent; ///< Invalid for a root.
    std::string trace_state;
    std::uint32_t flags = 0;

    [[nodiscard]] const TraceId& trace_id() const noexcept { return header.trace_id; }
    [[nodiscard]] const SpanId& id() const noexcept { return header.span_id; }
};

/// Reads one record as the drain gets it. Throws protozero::exception when it is not protobuf.
[[nodiscard]] inline SunkSpan read_record(std::span<const std::byte> payload) {
    SunkSpan span;
    std::memcpy(&span.header, payload.data(), sizeof span.header);
    span.body.assign(
        reinterpret_cast<const char*>(payload.data()) + sizeof span.header,
        payload.size() - sizeof span.header);
    constexpr protozero::pbf_tag_type scope_spans_spans = 2;
    protozero::pbf_reader outer(span.body);
    if (!outer.next(scope_spans_spans)) { return span; }
    const auto view = outer.get_view();
    if (outer.next()) { return span; }
    span.message.assign(view.data(), view.size());
    for (protozero::pbf_reader fields(span.message); fields.next();) {
        switch (fields.tag()) {
        case 3:
            span.trace_state = fields.get_string();
            break;
        case 4: {
            const auto id = fields.get_view();
            if (id.size() == span.parent.bytes.size()) {
                std::memcpy(span.parent.bytes.data(), id.data(), id.size());
            }
            break;
        }
        case 5:
            span.name = fields.get_string();
            break;
        case 16:
            span.flags = fields.get_fixed32();
            break;
        default:
            fields.skip();
        }
    }
    return span;
}

struct SpanSinkOptions {
    Sampler sampler = Sampler::parent_based(Sampler::always_on());
    SpanLimits limits{};
    std::size_t queue_bytes = std::size_t{4} << 20;
    unsigned shards = 1;
    bool make_default = true; ///< Spans that name no provider come here.
    std::vector<std::shared_ptr<SpanProcessor>> processors{};
    bool is_exported = true; ///< False: as a runtime that has processors and no exporter.
};

/// A provider and its queue. Threads: spans any; everything else the test's.
class SpanSink {
public:
    explicit SpanSink(SpanSinkOptions options = {})
        : provider_(std::make_unique<detail::TraceProvider>(
              options.sampler, options.limits, options.queue_bytes, options.shards,
              options.processors.empty() ? nullptr
                                         : std::make_unique<detail::SpanProcessors>(
                                               options.processors, options.is_exported))),
          before_(
              detail::default_provider.load(std::memory_order_acquire)) { // As Tracer::provider.
        if (options.make_default) { install(provider_.get()); }
    }
    SpanSink(const SpanSink&) = delete;
    SpanSink& operator=(const SpanSink&) = delete;
    ~SpanSink() {
        install(before_);
        (void)current_span_context(); // Finishes what was left to this thread's own slot.
    }

    [[nodiscard]] detail::TraceProvider& provider() noexcept { return *provider_; }
    [[nodiscard]] Tracer tracer(std::string_view name = "test") const noexcept {
        return Tracer(name).bound_to(provider_.get());
    }

    /// Every span that has ended since the last call, in the order in which they ended (per thread).
    [[nodiscard]] std::vector<SunkSpan> take() {
        detail::finish_ended_chains();
        std::vector<SunkSpan> spans;
        provider_->queue.consume([&](std::span<const std::byte> payload) {
            spans.push_back(read_record(payload));
            return true;
        });
        return spans;
    }
    /// The one span that has ended; an empty one, and a failure where it is compared, when there is not just one.
    [[nodiscard]] SunkSpan take_one() {
        auto spans = take();
        return spans.size() == 1 ? std::move(spans.front()) : SunkSpan{};
    }

private:
    static void install(detail::TraceProvider* provider) noexcept {
        // release: as the runtime does.
        detail::default_provider.store(provider, std::memory_order_release);
    }

    std::unique_ptr<detail::TraceProvider> provider_;
    detail::TraceProvider* before_;
};

/// Finds spans by id or name.
class SpanIndex {
public:
    explicit SpanIndex(std::vector<SunkSpan> spans) : spans_(std::move(spans)) {
        for (const auto& span : spans_) { by_id_.emplace(span.id(), &span); }
    }
    SpanIndex(SpanIndex&&) noexcept = default; // A copy would find its spans in the original.
    [[nodiscard]] std::size_t size() const noexcept { return spans_.size(); }
    [[nodiscard]] const std::vector<SunkSpan>& all() const noexcept { return spans_; }
    [[nodiscard]] const SunkSpan* find(const SpanId& id) const {
        const auto found = by_id_.find(id);
        return found == by_id_.end() ? nullptr : found->second;
    }
    /// The first span of this name, or an empty one.
    [[nodiscard]] const SunkSpan& named(std::string_view name) const {
        static const SunkSpan none;
        for (const auto& span : spans_) {
            if (span.name == name) { return span; }
        }
        return none;
    }
    /// The name of the parent of the span of this name; "" for a root, "?" when the parent never arrived.
    [[nodiscard]] std::string parent_of(std::string_view name) const {
        const auto& span = named(name);
        if (span.name != name) { return "no span " + std::string(name); }
        if (!span.parent) { return ""; }
        const auto* parent = find(span.parent);
        return parent == nullptr ? "?" : parent->name;
    }

private:
    std::vector<SunkSpan> spans_;
    std::unordered_map<SpanId, const SunkSpan*> by_id_;
};

} // namespace weft::testing
