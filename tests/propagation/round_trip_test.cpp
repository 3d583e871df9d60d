// extract(inject(x)) == x for every format, where x is what the format can say. Random contexts, printed seed.
#include "context_maker.hpp"

#include <weft/propagation/composite.hpp>
#include <weft/propagation/environment_carrier.hpp>
#include <weft/testing/random.hpp>

#include <boost/beast/http/fields.hpp>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace weft {
namespace {

using testing::Pairs;
using testing::Random;
using enum Propagator;

constexpr int rounds = 2000;
constexpr std::string_view token_characters =
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

std::string random_token(Random& random, std::size_t chars_max) {
    std::string token(random.between(1, chars_max), ' ');
    for (char& c : token) { c = random.pick(token_characters); }
    return token;
}

std::string random_utf8(Random& random) {
    std::string text;
    for (std::size_t i = random.below(12); i > 0; --i) {
        switch (random.below(4)) {
        case 0:
            text += "\xc3\xbc";
            break;
        case 1:
            text += "\xf0\x9f\x98\x80";
            break;
        default:
            text += static_cast<char>(random.below(0x80));
        }
    }
    return text;
}

std::string random_ascii(Random& random) {
    std::string text(random.below(12), ' ');
    for (char& c : text) { c = static_cast<char>(random.between(0x21, 0x7e)); }
    return text;
}

TraceContext random_trace(Random& random, std::uint8_t flags) {
    TraceContext context;
    const auto fill = [&](auto& id) {
        for (auto& byte : id.bytes) { byte = static_cast<std::uint8_t>(random.word()); }
        id.bytes.back() |= 1;
    };
    fill(context.span.trace_id);
    fill(context.span.span_id);
    context.span.flags = flags;
    context.span.is_remote = true;
    return context;
}

TraceState random_state(Random& random) {
    std::string text;
    for (std::size_t i = 0, members = random.below(33); i < members; ++i) {
        std::string value = random_ascii(random) + "x";
        for (char& c : value) {
            if (c == ',' || c == '=') { c = '.'; }
        }
        text += (i > 0 ? ",k" : "k") + std::to_string(i) + "@*/_-=" + value;
    }
    return *w3c::parse_tracestate(text);
}

// Flags that both forms of B3 can say.
constexpr std::array<std::uint8_t, 4> b3_flags{
    0, trace_flags::sampled, trace_flags::sampled | trace_flags::debug, trace_flags::undecided};
constexpr std::array<std::uint8_t, 3> jaeger_flags{
    0, trace_flags::sampled, trace_flags::sampled | trace_flags::debug};
constexpr std::array<std::uint8_t, 3> three_states{0, trace_flags::sampled, trace_flags::undecided};

PropagatedContext random_context(Random& random, Propagator propagator) {
    PropagatedContext context;
    switch (propagator) {
    case tracecontext:
        context.trace = random_trace(random, random.word() & trace_flags::known);
        context.trace.state = random_state(random);
        break;
    case baggage:
        for (std::size_t i = random.below(65); i > 0; --i) {
            context.baggage = context.baggage.set(
                random_token(random, 10), random_utf8(random),
                random.one_in(2) ? random_token(random, 5) + "=" + random_token(random, 5) : "");
        }
        break;
    case b3:
    case b3multi:
        context.trace = random_trace(random, random.pick(b3_flags));
        break;
    case jaeger:
        context.trace = random_trace(random, random.pick(jaeger_flags));
        for (std::size_t i = random.below(4); i > 0; --i) {
            context.baggage = context.baggage.set(
                "k" + std::to_string(i) + random_token(random, 10), random_utf8(random));
        }
        break;
    case xray:
        context.trace = random_trace(random, random.pick(three_states));
        break;
    case ottrace:
        context.trace = random_trace(random, random.pick(three_states));
        std::fill_n(context.trace.span.trace_id.bytes.begin(), 8, std::uint8_t{0});
        for (std::size_t i = random.below(4); i > 0; --i) {
            context.baggage = context.baggage.set(
                "k" + std::to_string(i) + random_token(random, 10), random_ascii(random));
        }
        break;
    }
    return context;
}

template <class Carrier>
void expect_round_trip(Propagator propagator, const PropagatedContext& context) {
    Carrier carrier;
    inject(Propagators{propagator}, context, carrier);
    const auto read = extract(Propagators{propagator}, carrier);
    ASSERT_EQ(read.trace.span, context.trace.span) << name(propagator);
    ASSERT_EQ(read.trace.state, context.trace.state) << name(propagator);
    ASSERT_EQ(read.baggage, context.baggage) << name(propagator);
}

TEST(RoundTrip, GivesBackWhatWasInjectedForEveryFormat) {
    auto random = Random::seeded("RoundTrip.GivesBackWhatWasInjectedForEveryFormat");
    const auto faults = propagation_faults().baggage;
    for (int i = 0; i < rounds; ++i) {
        for (const auto propagator : {tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace}) {
            const auto context = random_context(random, propagator);
            expect_round_trip<Pairs>(propagator, context);
            if (HasFatalFailure()) { return; }
        }
    }
    EXPECT_EQ(propagation_faults().baggage, faults);
}

TEST(RoundTrip, HoldsForEveryCarrierThatReadsAndWrites) {
    auto random = Random::seeded("RoundTrip.HoldsForEveryCarrierThatReadsAndWrites");
    for (int i = 0; i < rounds / 10; ++i) {
        for (const auto propagator : {tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace}) {
            auto context = random_context(random, propagator);
            expect_round_trip<boost::beast::http::fields>(propagator, context);
            expect_round_trip<std::map<std::string, std::string>>(propagator, context);
            if (propagator != baggage) { context.baggage = {}; } // See EnvironmentCarrier.
            expect_round_trip<EnvironmentCarrier>(propagator, context);
            if (HasFatalFailure()) { return; }
        }
    }
}

} // namespace
} // namespace weft
