#pragma once
#include <weft/signals/probability.hpp>
#include <weft/signals/span.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft {

/// What a sampler may look at. Lifetime: of the call.
/// Source: OpenTelemetry Trace SDK, "ShouldSample".
struct SamplingInput {
    const SpanContext* parent = nullptr; ///< Null for a root.
    const TraceState& trace_state;       ///< The parent's; empty for a root.
    const TraceId& trace_id;
    std::string_view name;
    SpanKind kind = SpanKind::internal;
    std::span<const Attribute> attributes; ///< Those given at the span's start.
    std::span<const Link> links;
    std::int64_t now_ns = 0; ///< Steady time: see steady_now_ns.
};

/// What a sampler wishes: keep the traces whose randomness is at least a threshold.
/// Source: OpenTelemetry Trace SDK, "GetSamplingIntent".
class SamplingIntent {
public:
    static constexpr std::size_t attributes_max = 4;

    /// A decision of known probability: what is kept gets `th`.
    [[nodiscard]] static SamplingIntent at(std::uint64_t threshold) noexcept {
        SamplingIntent intent;
        intent.threshold = threshold;
        intent.is_weighted = threshold < threshold_never;
        return intent;
    }
    /// A decision of which nobody can say how likely it was: `th` is removed.
    [[nodiscard]] static SamplingIntent unweighted(bool keep) noexcept {
        SamplingIntent intent;
        intent.threshold = keep ? 0 : threshold_never;
        return intent;
    }

    std::uint64_t threshold = threshold_never; ///< 0: keep all; threshold_never: none.
    bool is_weighted = false;                  ///< `threshold` tells how many spans one stands for.
    bool records_anyway = false; ///< What is not kept is recorded all the same, for processors.
    /// Instead of the parent's. `th` in it is overwritten.
    std::optional<TraceState> trace_state;

    /// Adds an attribute to the span if it is recorded; the fifth and later ones are counted as dropped.
    /// Lifetime: key and value, where they are views, must live as long as the sampler.
    void add_attribute(std::string_view key, const AttributeValue& value) noexcept {
        if (count_ < attributes_max) {
            attributes_[count_++] = {key, value};
        } else {
            ++discarded_;
        }
    }
    [[nodiscard]] std::span<const Attribute> attributes() const noexcept {
        return {attributes_.data(), count_};
    }
    [[nodiscard]] std::uint32_t discarded() const noexcept { return discarded_; }

private:
    std::array<Attribute, attributes_max> attributes_{};
    std::size_t count_ = 0;
    std::uint32_t discarded_ = 0;
};

/// A sampler of your own, or of ours behind a table's row: `Sampler::composed` makes a Sampler of it, which takes the
/// decision (R >= threshold), writes `th` and goes wherever a Sampler does, also into other samplers.
/// Threads: any, at once. It must not throw, wait or start spans.
class ComposableSampler {
public:
    ComposableSampler() = default;
    ComposableSampler(const ComposableSampler&) = delete;
    ComposableSampler& operator=(const ComposableSampler&) = delete;
    virtual ~ComposableSampler() = default;

    [[nodiscard]] virtual SamplingIntent intent(const SamplingInput& input) noexcept = 0;
    /// For logs and tests. May change.
    [[nodiscard]] virtual std::string description() const = 0;
};

/// Source: OpenTelemetry Trace SDK, "ShouldSample".
enum class SamplingDecision : std::uint8_t { drop, record_only, record_and_sample };

/// What became of an intent.
struct SamplingResult {
    SamplingDecision decision = SamplingDecision::drop;
    TraceState trace_state;
    SamplingIntent intent; ///< Its attributes belong on the span.
};

} // namespace weft
