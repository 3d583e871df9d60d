#pragma once
#include <weft/signals/probability.hpp>
#include <weft/signals/span.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

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
    std::int64_t time_ns = 0; ///< Steady time; 0: not read yet, because few samplers ask.

    /// Units: nanoseconds of steady time. Cost: a clock read.
    [[nodiscard]] std::int64_t now_ns() const noexcept {
        return time_ns != 0 ? time_ns : steady_now_ns();
    }
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
        if (slots_.count < attributes_max) {
            new (slots_.bytes + sizeof(Attribute) * slots_.count++) Attribute{key, value};
        } else {
            ++discarded_;
        }
    }
    [[nodiscard]] std::span<const Attribute> attributes() const noexcept {
        return {std::launder(reinterpret_cast<const Attribute*>(slots_.bytes)), slots_.count};
    }
    [[nodiscard]] std::uint32_t discarded() const noexcept { return discarded_; }

private:
    // Bytes, so that a sampler without attributes, which is the usual one, has nothing to set up.
    struct Slots {
        static_assert(std::is_trivially_copyable_v<Attribute>);
        Slots() noexcept {} // NOLINT(modernize-use-equals-default): that would clear the bytes.
        Slots(const Slots& other) noexcept { *this = other; }
        Slots& operator=(const Slots& other) noexcept {
            count = other.count;
            if (this != &other) { std::memcpy(bytes, other.bytes, count * sizeof(Attribute)); }
            return *this;
        }
        ~Slots() = default;

        std::size_t count = 0;
        alignas(Attribute) std::byte bytes[attributes_max * sizeof(Attribute)];
    };
    Slots slots_;
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
