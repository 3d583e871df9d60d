#include "failing_new.hpp"
#include "tail_sampler.hpp"

#include <weft/otlp/trace/v1/trace.pb.h>
#include <weft/signals/probability.hpp>
#include <weft/testing/random.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <vector>

namespace weft::testing {
namespace {

using detail::TailSampler;
using ::testing::HasSubstr;
using Added = TailSampler::Added;
using namespace std::chrono_literals;

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t start = 1'000'000 * ms;

std::string span_body(const std::string& name, const std::string& state = {}) {
    otlp::trace::v1::ScopeSpans scope;
    auto& span = *scope.add_spans();
    span.set_trace_id(std::string(16, 't'));
    span.set_trace_state(state);
    span.set_name(name);
    span.set_start_time_unix_nano(7);
    span.set_flags(0x101);
    return scope.SerializeAsString();
}

TraceId trace_with(std::uint64_t randomness, std::uint8_t number = 1) {
    TraceId id;
    id.bytes[0] = number;
    for (std::size_t i = 0; i < 7; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(randomness >> (8 * i));
    }
    return id;
}
// Randomness above any threshold of these tests, and below.
TraceId lucky(std::uint8_t number = 1) { return trace_with(threshold_never - number, number); }
TraceId unlucky(std::uint8_t number = 1) { return trace_with(number, number); }

struct SpanEnd {
    TraceId trace;
    std::int64_t duration_ms = 1;
    bool root = false;
    bool error = false;
    std::string name = "GET /";
    std::string state{};
};

// A tail sampler with a clock of its own.
class Tail {
public:
    explicit Tail(TailSampling options) : sampler(checked(options)) {}

    Added add(const SpanEnd& span) {
        const auto body = span_body(span.name, span.state);
        Record record;
        record.header.trace_id = span.trace;
        record.header.start_unix_ns = start + now - span.duration_ms * ms;
        record.header.end_unix_ns = start + now;
        if (span.root) { record.header.flags |= record_flags::local_root; }
        if (span.error) { record.header.flags |= record_flags::error; }
        record.body = std::as_bytes(std::span(body));
        return sampler.add(record, index++, now);
    }
    void pass(std::int64_t milliseconds) {
        now += milliseconds * ms;
        sampler.decide_due(now);
    }
    // The tracestates of what was kept since the last call.
    std::vector<std::string> kept() {
        std::vector<std::string> states;
        for (; sampler.has_kept(); sampler.pop()) {
            const auto body = sampler.front().record.body;
            otlp::trace::v1::ScopeSpans scope;
            EXPECT_TRUE(scope.ParseFromArray(body.data(), static_cast<int>(body.size())));
            EXPECT_EQ(scope.spans_size(), 1);
            states.push_back(scope.spans(0).trace_state());
        }
        return states;
    }

    TailSampler sampler;
    std::int64_t now = 0;
    std::uint64_t index = 0;

private:
    static const TailSampling& checked(const TailSampling& options) {
        EXPECT_EQ(problem_in(options), "");
        return options;
    }
};

using States = std::vector<std::string>;

TEST(TailSampler, KeepsATraceWithAnErrorAnywhere) {
    Tail tail({.probability = 0});
    tail.add({.trace = unlucky(1), .error = true});
    tail.add({.trace = unlucky(2)});
    tail.add({.trace = unlucky(1)});
    tail.add({.trace = unlucky(2), .root = true});
    tail.add({.trace = unlucky(1), .root = true});
    tail.pass(199);
    EXPECT_EQ(tail.kept(), States()) << "the root has ended, others may still come";
    tail.pass(1);
    EXPECT_EQ(tail.kept(), States({"", "", ""}));
    EXPECT_EQ(tail.sampler.take_dropped(), 2u);
    EXPECT_EQ(tail.sampler.take_dropped(), 0u);
    EXPECT_EQ(tail.sampler.records(), 0u);
}

TEST(TailSampler, KeepsWhatTookLong) {
    Tail tail({.latency = 100ms, .probability = 0});
    tail.add({.trace = unlucky(1), .duration_ms = 100, .root = true});
    tail.add({.trace = unlucky(2), .duration_ms = 99, .root = true});
    tail.add({.trace = unlucky(2), .duration_ms = 5000}); // A child that outlives its root.
    tail.pass(200);
    EXPECT_EQ(tail.kept().size(), 1u);
    EXPECT_EQ(tail.sampler.counts().slow, 1u);
}

TEST(TailSampler, KeepsWhatStandsOutAmongItsOwnName) {
    Tail tail({.latency_percentile = 0.99, .probability = 0});
    auto random = Random::seeded("KeepsWhatStandsOutAmongItsOwnName");
    const auto run = [&](int count, std::int64_t slow_ms) {
        std::size_t kept = 0;
        for (int i = 0; i < count; ++i) {
            const auto trace = trace_with(random.word() % threshold_never);
            const auto other = trace_with(random.word() % threshold_never);
            tail.add(
                {.trace = trace,
                 .duration_ms = slow_ms + static_cast<std::int64_t>(random.below(20)),
                 .root = true});
            tail.add({.trace = other, .duration_ms = 1000, .root = true, .name = "slow by nature"});
            tail.pass(200);
            kept += tail.kept().size();
        }
        return kept;
    };
    EXPECT_LE(run(2000, 10), 200u * 2) << "about one in a hundred, by quarters of an octave";
    const auto before = tail.sampler.counts().slow;
    EXPECT_EQ(run(5, 200), 5u) << "each is far above the usual";
    EXPECT_EQ(tail.sampler.counts().slow, before + 5);
    run(10'000, 200);
    EXPECT_EQ(run(5, 200), 0u) << "it has become the usual";
}

TEST(TailSampler, KeepsTheFirstOfEachNameInAMinute) {
    Tail tail({.rare_per_minute = 2, .probability = 0});
    const auto send = [&](const char* name, int count) {
        for (int i = 0; i < count; ++i) {
            tail.add({.trace = random_trace_id(), .root = true, .name = name});
        }
        tail.pass(200);
        return tail.kept().size();
    };
    EXPECT_EQ(send("busy", 1000), 2u);
    EXPECT_EQ(send("rare", 1), 1u);
    EXPECT_EQ(send("busy", 1000), 0u);
    tail.pass(60'000);
    EXPECT_EQ(send("busy", 1000), 2u);
    std::size_t kept = 0;
    for (int i = 0; i < 5000; ++i) { kept += send(("name " + std::to_string(i)).c_str(), 1); }
    EXPECT_LE(kept, 256u * 2 * (1 + 5000 * 200 / 60'000)) << "names without end are not all rare";
}

// Source: OpenTelemetry, "TraceState: Probability Sampling": probabilities multiply, by one and the same randomness.
TEST(TailSampler, WritesTheProductOfBothProbabilities) {
    Tail tail({.probability = 0.5});
    tail.add({.trace = lucky(1), .root = true});
    tail.add({.trace = lucky(2), .root = true, .state = "a=1,ot=th:8;x:1"});
    tail.add({.trace = unlucky(3), .root = true});
    tail.add({.trace = trace_with(threshold_never / 8 * 5, 4), .root = true, .state = "ot=th:8"});
    tail.add({.trace = unlucky(5), .root = true, .state = "ot=rv:ffffffffffffff"});
    tail.add({.trace = unlucky(6), .root = true, .error = true, .state = "ot=th:8"});
    tail.pass(200);
    EXPECT_EQ(
        tail.kept(), States({"ot=th:8", "ot=th:c;x:1,a=1", "ot=th:8;rv:ffffffffffffff", "ot=th:8"}))
        << "what is kept for a reason weighs as before";
    EXPECT_EQ(tail.sampler.take_dropped(), 2u);
}

TEST(TailSampler, LetsLateSpansFollowTheDecision) {
    Tail tail({.latency = 100ms, .probability = 0.5});
    tail.add({.trace = lucky(1), .root = true});
    tail.add({.trace = unlucky(2), .root = true});
    tail.pass(200);
    EXPECT_EQ(tail.kept().size(), 1u);
    EXPECT_EQ(tail.sampler.take_dropped(), 1u);

    tail.add({.trace = lucky(1)});
    tail.add({.trace = unlucky(2)});
    EXPECT_EQ(tail.kept(), States({"ot=th:8"})) << "at once, and with the weight";
    EXPECT_EQ(tail.sampler.take_dropped(), 1u);

    tail.add({.trace = unlucky(2), .error = true, .state = "ot=th:4"});
    tail.add({.trace = unlucky(2)});
    EXPECT_EQ(tail.kept(), States({"ot=th:4", ""})) << "an error is kept, and so is what follows";
    tail.add({.trace = unlucky(3), .root = true});
    tail.pass(200);
    tail.add({.trace = unlucky(3), .duration_ms = 100, .root = true});
    EXPECT_EQ(tail.kept(), States({""})) << "a second, slow root";
    EXPECT_EQ(tail.sampler.counts().late_kept, 4u);
    EXPECT_EQ(tail.sampler.counts().late_dropped, 1u);
}

TEST(TailSampler, DecidesOnATraceThatOutlivesItsWindow) {
    Tail tail({.latency = 2000ms, .probability = 0, .window = 2000ms});
    Tail impatient({.latency = 1000ms, .probability = 0, .window = 1000ms});
    Tail indifferent({.probability = 0, .window = 1000ms});
    for (auto* each : {&tail, &impatient, &indifferent}) {
        each->add({.trace = unlucky(1)});
        each->pass(999);
        EXPECT_EQ(each->sampler.counts().outlived_window, 0u);
        each->pass(1);
    }
    EXPECT_EQ(tail.sampler.records(), 1u);
    tail.pass(1000);
    EXPECT_EQ(tail.kept().size(), 1u) << "it takes two seconds already";
    EXPECT_EQ(impatient.kept().size(), 1u);
    EXPECT_EQ(indifferent.sampler.take_dropped(), 1u);
    EXPECT_EQ(indifferent.sampler.counts().outlived_window, 1u);
    tail.add({.trace = unlucky(1), .duration_ms = 2100, .root = true});
    EXPECT_EQ(tail.kept().size(), 1u);
}

TEST(TailSampler, SaysWhenItWantsToDecide) {
    Tail tail({.linger = 50ms, .window = 1000ms});
    constexpr auto never = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(tail.sampler.next_due_ns(), never);
    EXPECT_EQ(tail.sampler.first_index(), std::numeric_limits<std::uint64_t>::max());
    tail.index = 7;
    tail.add({.trace = lucky(1)});
    EXPECT_EQ(tail.sampler.next_due_ns(), 1000 * ms);
    tail.add({.trace = lucky(2), .root = true});
    EXPECT_EQ(tail.sampler.next_due_ns(), 50 * ms);
    EXPECT_EQ(tail.sampler.first_index(), 7u);
    tail.sampler.decide_all(tail.now);
    EXPECT_EQ(tail.sampler.next_due_ns(), never);
    tail.kept();
    EXPECT_EQ(tail.sampler.first_index(), std::numeric_limits<std::uint64_t>::max());
}

// Goal: over the bound the oldest are decided, those first that have ended; what is kept must leave first.
TEST(TailSampler, DecidesTheOldestEarlyWhenItIsFull) {
    Tail tail({.probability = 0, .bytes_max = 3u << 20});
    const std::string large(10'000, 'x');
    tail.add({.trace = unlucky(1), .root = true, .name = "ended"});
    std::uint8_t number = 2;
    std::uint64_t taken = 1;
    while (tail.sampler.counts().decided_early == 0) {
        ASSERT_EQ(tail.add({.trace = trace_with(taken, number), .name = large}), Added::taken);
        ASSERT_LE(tail.sampler.bytes(), 3u << 20);
        ASSERT_LT(++taken, 10'000u);
    }
    EXPECT_GE(tail.sampler.take_dropped(), 1u);
    EXPECT_EQ(tail.add({.trace = unlucky(1)}), Added::taken) << "the ended one was first";
    EXPECT_EQ(tail.sampler.counts().late_dropped, 1u);
}

TEST(TailSampler, TakesNothingMoreWhileWhatIsKeptFillsIt) {
    Tail tail({.bytes_max = 3u << 20});
    const std::string large(10'000, 'x');
    std::uint8_t number = 1;
    Added added = Added::taken;
    std::uint64_t taken = 0;
    while (added == Added::taken) {
        added = tail.add(
            {.trace = trace_with(taken, number), .root = true, .error = true, .name = large});
        ASSERT_LE(tail.sampler.bytes(), 3u << 20);
        if (added == Added::taken) { ++taken; }
        ASSERT_LT(taken, 10'000u);
    }
    EXPECT_EQ(added, Added::no_room);
    EXPECT_EQ(tail.sampler.counts().decided_early, 1u) << "no more are decided than help";
    EXPECT_EQ(tail.sampler.records(), taken);
    EXPECT_EQ(tail.kept().size(), 1u);
    EXPECT_EQ(tail.add({.trace = lucky(9)}), Added::taken);
    tail.sampler.decide_all(tail.now);
    EXPECT_EQ(tail.kept().size(), taken) << "none was lost";
}

TEST(TailSampler, RefusesARecordThatWillNeverFit) {
    Tail tail({.bytes_max = 3u << 20});
    EXPECT_EQ(tail.add({.trace = lucky(1), .name = std::string(3u << 20, 'x')}), Added::no_memory);
    EXPECT_EQ(tail.add({.trace = lucky(1)}), Added::taken);
}

TEST(TailSampler, ForgetsOldDecisionsOnly) {
    Tail tail({.probability = 0, .decisions_max = 64});
    for (int i = 0; i < 1000; ++i) { tail.add({.trace = random_trace_id(), .root = true}); }
    tail.add({.trace = unlucky(1), .root = true});
    tail.pass(200);
    EXPECT_EQ(tail.sampler.take_dropped(), 1001u);
    tail.add({.trace = unlucky(1)});
    EXPECT_EQ(tail.sampler.take_dropped(), 1u) << "the newest is remembered";
}

TEST(TailSampler, CountsWhatItHasNoMemoryFor) {
    Tail tail({});
    const auto body = span_body("name");
    Record record;
    record.header.trace_id = lucky(1);
    record.body = std::as_bytes(std::span(body));
    for (int failing = 0; failing < 2; ++failing) {
        const auto before = tail.sampler.bytes();
        const FailingNew without_memory(failing);
        EXPECT_EQ(tail.sampler.add(record, 0, 0), Added::no_memory);
        EXPECT_EQ(tail.sampler.bytes(), before);
        EXPECT_EQ(tail.sampler.records(), 0u);
    }
    EXPECT_EQ(tail.sampler.add(record, 0, 0), Added::taken);
}

TEST(BodyWithThreshold, ChangesTheTraceStateAndNothingElse) {
    for (const char* state : {"", "a=1", "a=1,ot=th:4"}) {
        const auto body = span_body("some name", state);
        std::string out;
        const auto changed =
            detail::body_with_threshold(std::as_bytes(std::span(body)), threshold_never / 2, out);
        otlp::trace::v1::ScopeSpans before;
        otlp::trace::v1::ScopeSpans after;
        ASSERT_TRUE(before.ParseFromString(body));
        ASSERT_TRUE(after.ParseFromArray(changed.data(), static_cast<int>(changed.size())));
        ASSERT_EQ(after.spans_size(), 1);
        EXPECT_THAT(after.spans(0).trace_state(), ::testing::StartsWith("ot=th:8"));
        before.mutable_spans(0)->set_trace_state(after.spans(0).trace_state());
        EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
        EXPECT_EQ(after.SerializeAsString().size(), changed.size()) << "one trace state, not two";
    }
}

TEST(BodyWithThreshold, LeavesWhatItCannotReadAsItIs) {
    const auto whole = span_body("some name", "a=1");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto body = std::as_bytes(std::span(whole).first(size));
        std::string out;
        EXPECT_EQ(detail::body_with_threshold(body, 0, out).data(), body.data()) << size;
    }
    auto random = Random::seeded("LeavesWhatItCannotReadAsItIs");
    for (int i = 0; i < 20'000; ++i) { // For the sanitizers.
        auto body = whole;
        for (int flips = 0; flips < 3; ++flips) {
            body[random.below(body.size())] = static_cast<char>(random.word());
        }
        std::string out;
        (void)detail::body_with_threshold(std::as_bytes(std::span(body)), 0, out);
    }
}

TEST(TailSampling, SaysWhatIsWrongWithItsOptions) {
    EXPECT_EQ(problem_in(TailSampling{}), "");
    EXPECT_THAT(
        problem_in({.latency = 11s}), HasSubstr("latency is 11000: allowed is 0 to 10000 ms"));
    EXPECT_THAT(problem_in({.probability = 1.5}), HasSubstr("probability is 1.5: allowed is 0"));
    EXPECT_THAT(problem_in({.probability = std::nan("")}), HasSubstr("probability is nan"));
    EXPECT_THAT(problem_in({.window = 0ms}), HasSubstr("window is 0: allowed is 1 to 3600000 ms"));
    EXPECT_THAT(problem_in({.bytes_max = 1000}), HasSubstr("bytes_max is 1000: allowed is"));
    EXPECT_THAT(
        problem_in({.bytes_max = 1u << 20}), HasSubstr("its tables alone take 1125376 bytes"));
    EXPECT_THAT(problem_in({.routes_max = 1}), HasSubstr("routes_max is 1: allowed is 8 to 65536"));
}

// Goal: of 200 000 traces of which hundreds are open at any moment, all errors and all slow ones are kept, memory stays
// within its bound at every moment, every record is accounted for, and the weights of what is kept add up to what
// there was, within 2 %. Method: a simulated clock; records arrive in the order in which spans end; one trace in a
// hundred fails, one in fifty is slow, some outlive the window, some have a span that ends after the root.
TEST(TailSampler, OfTwoHundredThousandTracesKeepsWhatMattersAndWeighsTheRest) {
    constexpr int traces = 200'000;
    constexpr std::size_t bytes_max = 4u << 20;
    auto random = Random::seeded("OfTwoHundredThousandTracesKeepsWhatMattersAndWeighsTheRest");
    TailSampler sampler(
        {.latency = 500ms,
         .latency_percentile = 0.995,
         .rare_per_minute = 5,
         .probability = 0.25,
         .linger = 50ms,
         .window = 1000ms,
         .bytes_max = bytes_max,
         .decisions_max = 16'384});

    struct Event {
        std::int64_t at;
        std::int64_t began;
        std::uint32_t trace;
        std::uint8_t flags;
        std::uint8_t name;
        bool operator>(const Event& other) const { return at > other.at; }
    };
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
    std::vector<std::string> bodies;
    for (int i = 0; i < 20; ++i) { bodies.push_back(span_body("route " + std::to_string(i))); }
    std::vector<TraceId> ids(traces);
    std::vector<char> matters(traces);
    std::vector<char> root_kept(traces);
    double estimate = 0;
    double variance = 0;
    std::uint64_t added = 0;
    std::uint64_t kept = 0;
    std::uint64_t dropped = 0;
    std::uint64_t index = 0;
    std::int64_t now = 0;
    std::size_t most_bytes = 0;
    std::vector<std::uint32_t> trace_of; // By record index.
    std::vector<char> is_root;

    const auto take_kept = [&] {
        for (; sampler.has_kept(); sampler.pop()) {
            const auto front = sampler.front();
            ++kept;
            if (is_root[front.index] == 0) { continue; }
            root_kept[trace_of[front.index]] = 1;
            detail::SpanFields fields;
            ASSERT_TRUE(detail::read_span_fields(front.record.body, fields));
            const auto threshold = read_sampling_state(fields.trace_state).threshold;
            const double count = adjusted_count(threshold.value_or(0));
            estimate += count;
            variance += count * (count - 1);
        }
        dropped += sampler.take_dropped();
    };
    const auto deliver = [&](const Event& event) {
        now = event.at;
        Record record;
        record.header.trace_id = ids[event.trace];
        record.header.flags = event.flags;
        record.header.start_unix_ns = start + event.began;
        record.header.end_unix_ns = start + event.at;
        record.body = std::as_bytes(std::span(bodies[event.name]));
        trace_of.push_back(event.trace);
        is_root.push_back((event.flags & record_flags::local_root) != 0);
        while (sampler.add(record, index, now) != Added::taken) { take_kept(); }
        ++index;
        ++added;
        most_bytes = std::max(most_bytes, sampler.bytes());
        ASSERT_LE(sampler.bytes(), bytes_max);
        if (index % 64 == 0) {
            sampler.decide_due(now);
            take_kept();
        }
    };

    for (int i = 0; i < traces; ++i) {
        const auto number = static_cast<std::uint32_t>(i);
        const std::int64_t begin = std::int64_t{i} * ms / 4;
        ids[number] = random_trace_id();
        const bool fails = random.one_in(100);
        const bool slow = random.one_in(50);
        const bool outlives = random.one_in(1000);
        matters[number] = fails || slow || outlives;
        const auto duration = (outlives ? 3000
                               : slow   ? 500
                                        : 1) *
                                  ms +
                              static_cast<std::int64_t>(random.below(20 * ms));
        const auto children = random.below(5);
        const auto name = static_cast<std::uint8_t>(random.below(20) * random.below(20) / 20);
        const auto failing = random.below(children + 1);
        for (std::size_t child = 0; child < children; ++child) {
            const auto at =
                begin + static_cast<std::int64_t>(random.below(static_cast<std::size_t>(duration)));
            const auto late = random.one_in(100) ? duration + 100 * ms : 0;
            const bool error = fails && child == failing;
            events.push(
                {at + late, begin, number, error ? record_flags::error : std::uint8_t{0}, name});
        }
        const auto root_flags = static_cast<std::uint8_t>(
            record_flags::local_root | (fails && failing == children ? record_flags::error : 0));
        events.push({begin + duration, begin, number, root_flags, name});
        while (!events.empty() && events.top().at <= begin) {
            deliver(events.top());
            events.pop();
        }
    }
    for (; !events.empty(); events.pop()) { deliver(events.top()); }
    sampler.decide_all(now);
    take_kept();

    const auto& counts = sampler.counts();
    EXPECT_EQ(added, kept + dropped);
    EXPECT_EQ(sampler.records(), 0u);
    EXPECT_GT(counts.outlived_window, 50u);
    EXPECT_GT(counts.late_dropped, 100u);
    EXPECT_EQ(counts.decided_early, 0u) << "or else the next claim is not fair";
    int lost = 0;
    for (std::size_t i = 0; i < matters.size(); ++i) {
        lost += matters[i] != 0 && root_kept[i] == 0;
    }
    // A failed child that ends later than the decision is kept, but its root has gone.
    EXPECT_LE(lost, traces / 100 / 100 * 2 + 20);
    EXPECT_GT(counts.dropped, traces / 2u);
    EXPECT_NEAR(estimate / traces, 1, 0.02);
    EXPECT_NEAR(estimate, traces, 6 * std::sqrt(variance));
    std::printf(
        "kept %llu of %llu records, estimate %.4f of the truth, at most %zu of %zu bytes, lost "
        "%d\n",
        static_cast<unsigned long long>(kept), static_cast<unsigned long long>(added),
        estimate / traces, most_bytes, bytes_max, lost);
}

} // namespace
} // namespace weft::testing
