#pragma once
#include <weft/signals/probability.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

class ComposableSampler;
class SamplingIntent;
struct SamplingInput;
struct SamplingResult;

/// Decides which traces are recorded, before their first attribute is encoded.
/// A sampler is a table: one rule for each kind of parent. That covers the specification's built-in samplers, their
/// composition by `parent_based`, and costs a table look-up per span. Whatever needs more than the ids (a name, the
/// time, a threshold in the tracestate) is a ComposableSampler that rows of the table refer to.
/// Source: OpenTelemetry Trace SDK, "Sampler" and "Built-in samplers".
class Sampler {
public:
    /// Records everything. Description "AlwaysOnSampler".
    [[nodiscard]] static Sampler always_on();
    /// Records nothing. Description "AlwaysOffSampler".
    [[nodiscard]] static Sampler always_off();
    /// Records the share `ratio` (0 to 1, clamped) of traces, decided by the trace id's random bits alone, so that
    /// all services with the same ratio agree and a higher ratio keeps a superset. Writes no weight: see `probability`.
    [[nodiscard]] static Sampler trace_id_ratio(double ratio);
    /// As above, and the traces it keeps say in their tracestate (`ot=th:...`) for how many they stand. Decides by `rv`
    /// of the tracestate where there is one. Source: OpenTelemetry Trace SDK, "ProbabilitySampler".
    [[nodiscard]] static Sampler probability(double ratio);
    /// Follows the parent's decision where there is a parent, and asks `root` where there is none.
    [[nodiscard]] static Sampler parent_based(const Sampler& root);
    /// As above, with a sampler of its own for each kind of parent.
    [[nodiscard]] static Sampler parent_based(
        const Sampler& root, const Sampler& remote_sampled, const Sampler& remote_not_sampled,
        const Sampler& local_sampled, const Sampler& local_not_sampled);
    /// One that looks at more than the ids; see composable_sampler.hpp. Null records nothing.
    [[nodiscard]] static Sampler composed(std::shared_ptr<ComposableSampler> sampler);

    /// The answer of the table: `ask` when the row needs `should_sample`.
    enum class Answer : std::uint8_t { drop, sample, ask };
    /// Threads: any. Cost: a few nanoseconds. `parent` is null or invalid for a root;
    /// a parent that left the decision to the receiver is treated as none.
    [[nodiscard]] Answer look_up(
        const SpanContext* parent, const TraceId& trace_id) const noexcept {
        const Rule& rule = rules_[case_of(parent)];
        if (rule.kind == Rule::ratio) {
            return trace_randomness(trace_id) >= rule.threshold ? Answer::sample : Answer::drop;
        }
        // By arithmetic, not by branches: the kinds before `ratio` are the answers.
        return static_cast<Answer>(rule.kind);
    }
    /// Whether a span with this parent takes over the parent's tracestate with its weight.
    [[nodiscard]] bool keeps_weight(const SpanContext* parent) const noexcept {
        return rules_[case_of(parent)].keeps_weight;
    }

    /// The decision on one span, whatever the sampler is made of. Threads: any.
    [[nodiscard]] SamplingResult should_sample(const SamplingInput& input) const noexcept;
    /// What the sampler wishes, for samplers that are made of others. Threads: any.
    [[nodiscard]] SamplingIntent intent(const SamplingInput& input) const noexcept;

    /// For logs and tests. May change.
    [[nodiscard]] const std::string& description() const noexcept { return description_; }

private:
    struct Rule {
        // The first three are `Answer`s.
        enum Kind : std::uint8_t { off, on, ask, ratio } kind = off;
        bool keeps_weight = false; // The decision is the parent's, and so is its weight.
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
    using Composed = std::array<std::shared_ptr<ComposableSampler>, 5>;

    static Case case_of(const SpanContext* parent) noexcept {
        if (parent == nullptr || !parent->is_valid()) { return root_case; }
        if ((parent->flags & trace_flags::undecided) != 0) { return root_case; }
        if (parent->is_remote) {
            return parent->is_sampled() ? remote_sampled_case : remote_dropped_case;
        }
        return parent->is_sampled() ? local_sampled_case : local_dropped_case;
    }

    Sampler(Rule rule, std::string description);
    std::array<Rule, 5> rules_;
    std::shared_ptr<const Composed> composed_; // For the rows that say `ask`; null without one.
    std::string description_;
};

} // namespace weft
