#include <weft/signals/sampler.hpp>

#include <fmt/format.h>

#include <cmath>

namespace weft {

Sampler::Sampler(Rule rule, std::string description) : description_(std::move(description)) {
    rules_.fill(rule);
}

Sampler Sampler::always_on() { return {Rule{Rule::on}, "AlwaysOnSampler"}; }
Sampler Sampler::always_off() { return {Rule{Rule::off}, "AlwaysOffSampler"}; }

Sampler Sampler::trace_id_ratio(double ratio) {
    const double share = std::isnan(ratio) ? 0.0 : std::fmin(std::fmax(ratio, 0.0), 1.0);
    auto description = fmt::format("TraceIdRatioBased{{{:.6f}}}", share);
    // Threshold T = (1 - p) * 2^56; a ratio below 2^-57 rounds to nothing.
    // Not by 1.0 - p, which is 1.0 for a ratio below 2^-54.
    const auto kept = static_cast<std::uint64_t>(std::llround(std::ldexp(share, 56)));
    const auto threshold = (std::uint64_t{1} << 56) - kept;
    if (kept == 0) { return {Rule{Rule::off}, std::move(description)}; }
    if (threshold == 0) { return {Rule{Rule::on}, std::move(description)}; }
    return {Rule{Rule::ratio, threshold}, std::move(description)};
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
    sampler.rules_ = {
        root.rules_[root_case], remote_sampled.rules_[remote_sampled_case],
        remote_not_sampled.rules_[remote_dropped_case], local_sampled.rules_[local_sampled_case],
        local_not_sampled.rules_[local_dropped_case]};
    sampler.description_ = fmt::format(
        "ParentBased{{root:{},remoteParentSampled:{},remoteParentNotSampled:{},localParentSampled:{"
        "},"
        "localParentNotSampled:{}}}",
        root.description_, remote_sampled.description_, remote_not_sampled.description_,
        local_sampled.description_, local_not_sampled.description_);
    return sampler;
}

} // namespace weft
