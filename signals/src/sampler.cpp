#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/sampler.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft {
namespace {

class ProbabilitySampler final : public ComposableSampler {
public:
    explicit ProbabilitySampler(double ratio)
        : ratio_(ratio), threshold_(threshold_of(ratio)),
          state_(with_threshold(TraceState(), threshold_)) {}
    SamplingIntent intent(const SamplingInput& input) noexcept override {
        auto intent = SamplingIntent::at(threshold_);
        // The usual root's state, ready-made: it costs a reference count instead of an allocation.
        if (input.trace_state.empty() && trace_randomness(input.trace_id) >= threshold_) {
            intent.trace_state = state_;
        }
        return intent;
    }
    std::string description() const override {
        return fmt::format("ProbabilitySampler{{{:.6f}}}", ratio_);
    }

private:
    const double ratio_;
    const std::uint64_t threshold_;
    const TraceState state_; // Of a root that is kept.
};

double clamped(double ratio) noexcept {
    return std::isnan(ratio) ? 0.0 : std::fmin(std::fmax(ratio, 0.0), 1.0);
}

} // namespace

Sampler::Sampler(Rule rule, std::string description) : description_(std::move(description)) {
    rules_.fill(rule);
}

Sampler Sampler::always_on() { return {Rule{Rule::on}, "AlwaysOnSampler"}; }
Sampler Sampler::always_off() { return {Rule{Rule::off}, "AlwaysOffSampler"}; }

Sampler Sampler::trace_id_ratio(double ratio) {
    const double share = clamped(ratio);
    auto description = fmt::format("TraceIdRatioBased{{{:.6f}}}", share);
    const auto threshold = exact_threshold(share);
    if (threshold == threshold_never) { return {Rule{Rule::off}, std::move(description)}; }
    if (threshold == 0) { return {Rule{Rule::on}, std::move(description)}; }
    return {Rule{Rule::ratio, false, threshold}, std::move(description)};
}

Sampler Sampler::probability(double ratio) {
    return composed(std::make_shared<ProbabilitySampler>(clamped(ratio)));
}

Sampler Sampler::composed(std::shared_ptr<ComposableSampler> made) {
    if (made == nullptr) { return always_off(); }
    Sampler sampler(Rule{Rule::ask}, made->description());
    Composed rows;
    rows.fill(std::move(made));
    sampler.composed_ = std::make_shared<const Composed>(std::move(rows));
    return sampler;
}

Sampler Sampler::parent_based(const Sampler& root) {
    auto sampler = parent_based(root, always_on(), always_off(), always_on(), always_off());
    sampler.description_ = fmt::format("ParentBased{{root:{}}}", root.description_);
    return sampler;
}

Sampler Sampler::parent_based(
    const Sampler& root, const Sampler& remote_sampled, const Sampler& remote_not_sampled,
    const Sampler& local_sampled, const Sampler& local_not_sampled) {
    Sampler sampler = always_off();
    // Each delegate answers for the case it is asked about, so that a parent-based delegate nests.
    const std::array<const Sampler*, 5> delegates{
        &root, &remote_sampled, &remote_not_sampled, &local_sampled, &local_not_sampled};
    Composed rows;
    for (std::size_t i = 0; i < delegates.size(); ++i) {
        sampler.rules_[i] = delegates[i]->rules_[i];
        if (sampler.rules_[i].kind == Rule::ask) { rows[i] = (*delegates[i]->composed_)[i]; }
    }
    if (std::any_of(rows.begin(), rows.end(), [](const auto& row) { return row != nullptr; })) {
        sampler.composed_ = std::make_shared<const Composed>(std::move(rows));
    }
    // Where exactly the parent's decision is taken, the parent's weight is the span's.
    for (const auto& [sampled, dropped] :
         {std::pair(remote_sampled_case, remote_dropped_case),
          std::pair(local_sampled_case, local_dropped_case)}) {
        auto& rules = sampler.rules_;
        rules[dropped].keeps_weight = rules[dropped].kind == Rule::off;
        rules[sampled].keeps_weight =
            rules[sampled].kind == Rule::on && rules[dropped].kind == Rule::off;
    }
    sampler.description_ = fmt::format(
        "ParentBased{{root:{},remoteParentSampled:{},remoteParentNotSampled:{},localParentSampled:{"
        "},"
        "localParentNotSampled:{}}}",
        root.description_, remote_sampled.description_, remote_not_sampled.description_,
        local_sampled.description_, local_not_sampled.description_);
    return sampler;
}

SamplingIntent Sampler::intent(const SamplingInput& input) const noexcept {
    const auto row = case_of(input.parent);
    const Rule& rule = rules_[row];
    switch (rule.kind) {
    case Rule::ask:
        return (*composed_)[row]->intent(input);
    case Rule::ratio:
        return SamplingIntent::at(rule.threshold);
    case Rule::on: {
        if (!rule.keeps_weight) { return SamplingIntent::at(0); }
        const auto given = read_sampling_state(input.trace_state.text()).threshold;
        return given ? SamplingIntent::at(*given) : SamplingIntent::unweighted(true);
    }
    case Rule::off:
        break;
    }
    return SamplingIntent::unweighted(false);
}

SamplingResult Sampler::should_sample(const SamplingInput& input) const noexcept {
    const auto answer = look_up(input.parent, input.trace_id);
    if (answer != Answer::ask) {
        SamplingResult result;
        result.trace_state = input.trace_state;
        if (answer == Answer::sample) { result.decision = SamplingDecision::record_and_sample; }
        if (!keeps_weight(input.parent)) {
            result.trace_state = with_threshold(input.trace_state, std::nullopt);
        }
        return result;
    }
    SamplingResult result{
        .decision = SamplingDecision::drop, .trace_state = {}, .intent = intent(input)};
    auto& wish = result.intent;
    result.trace_state = wish.trace_state ? std::move(*wish.trace_state) : input.trace_state;
    // By the parent's randomness: it belongs to the trace, whatever a sampler makes of the state.
    const bool sampled = wish.threshold == 0 ||
                         randomness_of(input.trace_id, input.trace_state.text()) >= wish.threshold;
    const bool is_weighted = sampled && wish.is_weighted;
    result.trace_state = with_threshold(
        result.trace_state, is_weighted ? std::optional(wish.threshold) : std::nullopt);
    result.decision = sampled               ? SamplingDecision::record_and_sample
                      : wish.records_anyway ? SamplingDecision::record_only
                                            : SamplingDecision::drop;
    return result;
}

} // namespace weft
