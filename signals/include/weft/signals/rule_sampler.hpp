#pragma once
#include <weft/signals/attribute.hpp>
#include <weft/signals/sampler.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace weft {

enum class SpanKind : std::uint8_t;

/// One line of a rule-based sampler. Every condition that is given must hold; a rule without one always applies.
/// Patterns: `*` stands for any text, `?` for one character; everything else for itself.
struct SamplingRule {
    /// An attribute given at the span's start. Numbers and booleans are compared as text (`404`, `true`);
    /// other types than those and text never match.
    struct AttributePattern {
        std::string key;
        std::string value = "*";
    };
    std::string name{};             ///< Pattern of the span's name; empty: any.
    std::optional<SpanKind> kind{}; ///< Unset: any.
    std::vector<AttributePattern> attributes{};
    Sampler sampler = Sampler::always_off(); ///< Decides where the rule applies.
};

/// Asks the sampler of the first rule that applies; where none does, `otherwise`.
/// Threads: any. Cost: some nanoseconds a condition.
/// Source: OpenTelemetry Trace SDK, "ComposableRuleBased".
[[nodiscard]] Sampler rule_sampler(std::vector<SamplingRule> rules, const Sampler& otherwise);

/// Puts these attributes on whatever `inner` records. Keys and values are copied: text, numbers, booleans.
/// Errors: std::invalid_argument for more than four, for an empty key and for values of other types.
/// Source: OpenTelemetry Trace SDK, "ComposableAnnotating".
[[nodiscard]] Sampler annotating_sampler(
    const Sampler& inner, std::initializer_list<Attribute> attributes);

/// Records also what `inner` drops, for processors: such a span is not exported and its context says "not sampled".
/// Source: OpenTelemetry Trace SDK, "AlwaysRecord".
[[nodiscard]] Sampler always_record_sampler(const Sampler& inner);

} // namespace weft
