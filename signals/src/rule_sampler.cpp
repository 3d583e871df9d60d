#include "pattern.hpp"

#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/rule_sampler.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <stdexcept>

namespace weft {
namespace {

bool value_matches(std::string_view pattern, const AttributeValue& value) noexcept {
    using Type = AttributeValue::Type;
    char digits[32];
    switch (value.type()) {
    case Type::string:
        return detail::matches(pattern, value.string());
    case Type::boolean:
        return detail::matches(pattern, value.boolean() ? "true" : "false");
    case Type::integer:
    case Type::floating: {
        const char* const end = value.type() == Type::integer
                                    ? fmt::format_to(digits, "{}", value.integer())
                                    : fmt::format_to(digits, "{}", value.floating());
        return detail::matches(pattern, {digits, static_cast<std::size_t>(end - digits)});
    }
    default:
        return false;
    }
}

bool applies(const SamplingRule& rule, const SamplingInput& input) noexcept {
    if (rule.kind && *rule.kind != input.kind) { return false; }
    if (!rule.name.empty() && !detail::matches(rule.name, input.name)) { return false; }
    const auto holds = [&](const SamplingRule::AttributePattern& wanted) {
        return std::any_of(
            input.attributes.begin(), input.attributes.end(), [&](const Attribute& given) {
                return given.key == wanted.key && value_matches(wanted.value, given.value);
            });
    };
    return std::all_of(rule.attributes.begin(), rule.attributes.end(), holds);
}

class RuleSampler final : public ComposableSampler {
public:
    RuleSampler(std::vector<SamplingRule> rules, Sampler otherwise)
        : rules_(std::move(rules)), otherwise_(std::move(otherwise)) {}

    SamplingIntent intent(const SamplingInput& input) noexcept override {
        for (const auto& rule : rules_) {
            if (applies(rule, input)) { return rule.sampler.intent(input); }
        }
        return otherwise_.intent(input);
    }
    std::string description() const override {
        std::string text = "RuleSampler{";
        for (const auto& rule : rules_) { text += rule.sampler.description() + ","; }
        return text + "otherwise:" + otherwise_.description() + "}";
    }

private:
    const std::vector<SamplingRule> rules_;
    const Sampler otherwise_;
};

class AnnotatingSampler final : public ComposableSampler {
public:
    AnnotatingSampler(Sampler inner, std::initializer_list<Attribute> attributes)
        : inner_(std::move(inner)) {
        using Type = AttributeValue::Type;
        if (attributes.size() > SamplingIntent::attributes_max) {
            throw std::invalid_argument(fmt::format(
                "annotating_sampler: {} attributes, allowed are {}", attributes.size(),
                SamplingIntent::attributes_max));
        }
        for (const auto& attribute : attributes) {
            const auto type = attribute.value.type();
            const bool is_scalar = type == Type::boolean || type == Type::integer ||
                                   type == Type::floating || type == Type::string;
            if (attribute.key.empty() || !is_scalar) {
                throw std::invalid_argument(fmt::format(
                    "annotating_sampler: attribute \"{}\": allowed are text, numbers and booleans "
                    "under a key that is not empty",
                    attribute.key));
            }
            const std::string_view key = texts_.emplace_back(attribute.key);
            attributes_.push_back(
                {key, type == Type::string
                          ? AttributeValue(texts_.emplace_back(attribute.value.string()))
                          : attribute.value});
        }
    }

    SamplingIntent intent(const SamplingInput& input) noexcept override {
        auto intent = inner_.intent(input);
        for (const auto& attribute : attributes_) {
            intent.add_attribute(attribute.key, attribute.value);
        }
        return intent;
    }
    std::string description() const override {
        return fmt::format("AnnotatingSampler{{{}}}", inner_.description());
    }

private:
    const Sampler inner_;
    std::deque<std::string> texts_; // What attributes_ points into.
    std::vector<Attribute> attributes_;
};

class AlwaysRecordSampler final : public ComposableSampler {
public:
    explicit AlwaysRecordSampler(Sampler inner) : inner_(std::move(inner)) {}
    SamplingIntent intent(const SamplingInput& input) noexcept override {
        auto intent = inner_.intent(input);
        intent.records_anyway = true;
        return intent;
    }
    std::string description() const override {
        return fmt::format("AlwaysRecordSampler{{{}}}", inner_.description());
    }

private:
    const Sampler inner_;
};

} // namespace

Sampler rule_sampler(std::vector<SamplingRule> rules, const Sampler& otherwise) {
    return Sampler::composed(std::make_shared<RuleSampler>(std::move(rules), otherwise));
}

Sampler annotating_sampler(const Sampler& inner, std::initializer_list<Attribute> attributes) {
    return Sampler::composed(std::make_shared<AnnotatingSampler>(inner, attributes));
}

Sampler always_record_sampler(const Sampler& inner) {
    return Sampler::composed(std::make_shared<AlwaysRecordSampler>(inner));
}

} // namespace weft
