#include "receiver.hpp"

#include <weft/telemetry/runtime.hpp>

#include <stdexcept>

// What a Runtime does with the processors it is given.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Noting final : public SpanProcessor {
public:
    std::vector<std::string> calls;
    bool answer = true;
    bool throws = false;
    TimePoint deadline{};

private:
    bool reply(const char* call, TimePoint until) {
        calls.emplace_back(call);
        deadline = until;
        if (throws) { throw std::runtime_error("not now"); }
        return answer;
    }
    void on_end(const ReadableSpan& span) override { calls.emplace_back(span.name()); }
    bool force_flush(TimePoint until) override { return reply("flush", until); }
    bool shutdown(TimePoint until) override { return reply("shutdown", until); }
};

TEST(RuntimeWithProcessors, ShowsThemSpansThenFlushesAndShutsThemDownOnce) {
    Receiver receiver;
    auto options = receiver.options();
    const auto processor = std::make_shared<Noting>();
    options.span_processors = {processor};
    Runtime runtime(options);
    Span("one").end();

    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_GT(processor->deadline, Clock::now());
    EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
    EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
    Span("late").end();

    EXPECT_THAT(processor->calls, ElementsAre("one", "flush", "shutdown"));
    EXPECT_THAT(receiver.names(), ElementsAre("one"));
}

TEST(RuntimeWithProcessors, IsShutDownWithThemByItsDestructor) {
    Receiver receiver;
    auto options = receiver.options();
    const auto processor = std::make_shared<Noting>();
    options.span_processors = {processor};
    { const Runtime runtime(options); }
    EXPECT_THAT(processor->calls, ElementsAre("shutdown"));
}

TEST(RuntimeWithProcessors, ReportsAnIncompleteFlushWhenOneSaysSoOrThrows) {
    for (const bool throws : {false, true}) {
        SCOPED_TRACE(throws);
        Receiver receiver;
        auto options = receiver.options();
        const auto bad = std::make_shared<Noting>();
        bad->answer = false;
        bad->throws = throws;
        const auto good = std::make_shared<Noting>();
        options.span_processors = {bad, good};
        Runtime runtime(options);
        Span("one").end();
        const auto flushed = runtime.flush_blocking(10s);
        EXPECT_FALSE(flushed->complete);
        EXPECT_EQ(flushed->exported, 1U) << "export goes on";
        EXPECT_FALSE(runtime.shutdown_blocking(10s)->complete);
        EXPECT_THAT(good->calls, ElementsAre("one", "flush", "shutdown"));
    }
}

TEST(RuntimeWithProcessors, NeedsNoExporter) {
    Options options;
    options.traces_exporter = options.metrics_exporter = ExporterKind::none;
    const auto processor = std::make_shared<Noting>();
    options.span_processors = {processor};
    Runtime runtime(options);
    EXPECT_TRUE(Tracer().is_enabled());
    for (int i = 0; i < 3; ++i) { Span("one").end(); }
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_EQ(runtime.ledger().created, 0U) << "nothing was ever to be exported";
    EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
    EXPECT_FALSE(Tracer().is_enabled());
    EXPECT_THAT(processor->calls, ElementsAre("one", "one", "one", "flush", "shutdown"));
}

TEST(RuntimeWithProcessors, MakesNoneOfThemWhenItIsDisabled) {
    Options options;
    options.disabled = true;
    const auto processor = std::make_shared<Noting>();
    options.span_processors = {processor};
    const Runtime runtime(options);
    EXPECT_FALSE(Tracer().is_enabled());
    Span("one").end();
    EXPECT_TRUE(processor->calls.empty());
}

TEST(RuntimeWithProcessors, RefusesANullOne) {
    Options options;
    options.span_processors = {std::make_shared<Noting>(), nullptr};
    EXPECT_THAT(problem_in(options), HasSubstr("Options::span_processors[1] is null"));
    EXPECT_THROW(Runtime{options}, std::invalid_argument);
}

} // namespace
} // namespace weft::testing
