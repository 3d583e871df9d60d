#pragma once
#include <weft/runtime/span_context.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace weft {

/// Decides which traces are recorded, before their first attribute is encoded.
/// A sampler is a table: one rule for each kind of parent. That covers the specification's built-in samplers, their
/// composition by `parent_based`, and costs a table look-up per span.
/// Source: OpenTelemetry Trace SDK, "Sampler" and "Built-in samplers".
class Sampler {
public:
    /// Records everything. Description "AlwaysOnSampler".
    [[nodiscard]] static Sampler always_on();
    /// Records nothing. Description "AlwaysOffSampler".
    [[nodiscard]] static Sampler always_off();
    /// Records the share `ratio` (0 to 1, clamped) of traces, decided by the trace id's random bits alone, so that
    /// all services with the same ratio agree and a higher ratio keeps a superset.
    [[nodiscard]] static Sampler trace_id_ratio(double ratio);
    /// Follows the parent's decision where there is a parent, and asks `root` where there is none.
    [[nodiscard]] static Sampler parent_based(const Sampler& root);
    /// As above, with a sampler of its own for each kind of parent.
    [[nodiscard]] static Sampler parent_based(
        const Sampler& root, const Sampler& remote_sampled, const Sampler& remote_not_sampled,
        const Sampler& local_sampled, const Sampler& local_not_sampled);

    /// Threads: any. Cost: a few nanoseconds. `parent` is null or invalid for a root;
    /// a parent that left the decision to the receiver is treated as none.
    [[nodiscard]] bool should_sample(
        const SpanContext* parent, const TraceId& trace_id) const noexcept {
        const Rule& rule = rules_[case_of(parent)];
        return rule.kind == Rule::ratio ? randomness(trace_id) >= rule.threshold
                                        : rule.kind == Rule::on;
    }

    /// For logs and tests. May change.
    [[nodiscard]] const std::string& description() const noexcept { return description_; }

private:
    struct Rule {
        enum Kind : std::uint8_t { off, on, ratio } kind = off;
        std::uint64_t threshold =
            0; // 56 bits: kept when the trace id's randomness is at least this.
    };
    enum Case : std::uint8_t {
        root_case,
        remote_sampled_case,
        remote_dropped_case,
        local_sampled_case,
        local_dropped_case
    };

    static Case case_of(const SpanContext* parent) noexcept {
        if (parent == nullptr || !parent->is_valid()) { return root_case; }
        if ((parent->flags & trace_flags::undecided) != 0) { return root_case; }
        if (parent->is_remote) {
            return parent->is_sampled() ? remote_sampled_case : remote_dropped_case;
        }
        return parent->is_sampled() ? local_sampled_case : local_dropped_case;
    }
    // The low seven bytes, which W3C level 2 promises to be random.
    static std::uint64_t randomness(const TraceId& id) noexcept {
        std::uint64_t value = 0;
        for (std::size_t i = 9; i < 16; ++i) { value = value << 8 | id.bytes[i]; }
        return value;
    }

    Sampler(Rule rule, std::string description);
    std::array<Rule, 5> rules_;
    std::string description_;
};

} // namespace weft
