#include <weft/runtime/spawn.hpp>
#include <weft/telemetry/runtime.hpp>
#include <weft/testing/in_memory.hpp>
#include <weft/testing/matchers.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>

#include <memory>
#include <thread>

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A sink, and the options of a runtime that exports to it.
struct Exporting {
    explicit Exporting(std::size_t bytes_max = 1 << 20)
        : sink(std::make_shared<InMemorySink>(bytes_max)) {
        options.sink = sink;
        options.service_name = "test";
        options.batch.delay = 1h;            // Nothing leaves before it is asked to.
        options.otlp.endpoint = "not a url"; // Not looked at.
    }
    std::shared_ptr<InMemorySink> sink;
    Options options;
};

TEST(InMemorySink, HasWhatARuntimeExportsWithResourceAndScope) {
    Exporting setup;
    Runtime runtime(setup.options);
    {
        const Span outer("outer", {{"k", 1}});
        const Span inner(Tracer("lib", "2"), "inner");
    }
    EXPECT_THAT(setup.sink->spans(), IsEmpty());

    ASSERT_TRUE(runtime.flush_blocking(60s)->complete);

    const auto spans = setup.sink->spans();
    EXPECT_THAT(spans, Tree("outer", {Tree("inner")}).with(HasAttribute("k", 1)));
    ASSERT_THAT(spans, SizeIs(2));
    EXPECT_EQ(find(spans, "inner")->scope.name, "lib");
    EXPECT_EQ(find(spans, "inner")->scope.version, "2");
    EXPECT_EQ(*find(find(spans, "outer")->resource, "service.name"), Value("test"));
    EXPECT_EQ(runtime.ledger().exported, 2u);
    EXPECT_TRUE(runtime.ledger().is_balanced());
}

TEST(InMemorySink, HasTheSpansAfterTheRuntimeIsGone) {
    Exporting setup;
    {
        Runtime runtime(setup.options);
        const Span span("last");
        // Ends before the runtime: it is declared after.
    }
    EXPECT_THAT(setup.sink->spans(), ElementsAre(HasName("last")));
    setup.sink->clear();
    EXPECT_THAT(setup.sink->spans(), IsEmpty());
}

TEST(InMemorySink, ServesARuntimeWhoseExporterIsSwitchedOff) {
    Exporting setup;
    setup.options.traces_exporter = ExporterKind::none; // As OTEL_TRACES_EXPORTER=none says.
    {
        Runtime runtime(setup.options);
        const Span span("s");
    }
    EXPECT_THAT(setup.sink->spans(), SizeIs(1));
}

TEST(InMemorySink, ShowsAndCountsSpansAloneAlsoWhereItIsGivenMetrics) {
    Exporting setup;
    setup.options.metrics_sink = setup.sink;
    Runtime runtime(setup.options);
    Span("one").end();
    ASSERT_TRUE(runtime.flush_blocking(60s)->complete);
    EXPECT_GT(runtime.ledger(Signal::metrics).exported, 0u) << "of the runtime about itself";
    EXPECT_THAT(setup.sink->spans(), SizeIs(1));
    EXPECT_EQ(setup.sink->span_count(), 1u);
}

TEST(InMemorySink, ServesNoRuntimeThatIsDisabled) {
    Exporting setup;
    setup.options.disabled = true;
    {
        Runtime runtime(setup.options);
        const Span span("s");
    }
    EXPECT_THAT(setup.sink->spans(), IsEmpty());
}

TEST(InMemorySink, ServesTwoRuntimesAtOnce) {
    Exporting setup;
    {
        Runtime one(setup.options);
        Runtime other(setup.options);
        std::thread thread([&other] { const Span span(other.tracer("t"), "other's"); });
        { const Span span(one.tracer("t"), "one's"); }
        thread.join();
    }
    EXPECT_THAT(setup.sink->spans(), Trees({Tree("one's"), Tree("other's")}));
}

TEST(InMemorySink, WaitsForWhatIsExportedByItself) {
    Exporting setup;
    setup.options.batch.delay = 1ms;
    setup.options.batch.poll = 1ms;
    Runtime runtime(setup.options);
    EXPECT_FALSE(setup.sink->wait_for_blocking(1, 2ms));
    { const Span span("s"); }
    EXPECT_TRUE(setup.sink->wait_for_blocking(1, 60s));
    bool found = false;
    weft::co_spawn(
        runtime,
        [&]() -> Task<void> {
            { const Span span("t"); }
            found = co_await setup.sink->wait_for(2, 60s);
        },
        [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    runtime.io_context().run_for(60s);
    EXPECT_TRUE(found);
}

TEST(InMemorySink, IsLoudAboutMoreThanItKeeps) {
    Exporting setup(2'000);
    setup.options.batch.records_max = 10;
    Runtime runtime(setup.options);
    for (int i = 0; i < 100; ++i) { const Span span("s"); }
    ASSERT_TRUE(runtime.flush_blocking(60s)->complete);

    try {
        (void)setup.sink->spans();
        FAIL() << "nothing was thrown";
    } catch (const LostSpans& e) {
        EXPECT_THAT(e.what(), HasSubstr("the 2000 bytes that InMemorySink keeps"));
    }
    EXPECT_THROW((void)setup.sink->wait_for_blocking(1, 60s), LostSpans);
    const auto ledger = runtime.ledger();
    EXPECT_GT(ledger.dropped[static_cast<std::size_t>(DropReason::queue_full)], 0u);
    EXPECT_TRUE(ledger.is_balanced());
    setup.sink->clear();
    EXPECT_THAT(setup.sink->spans(), IsEmpty());
}

// Sinks that a program might write.
struct OwnSink : Sink {
    asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) override {
        if (throws) { throw std::runtime_error("broken"); }
        SendOutcome outcome;
        outcome.rejected = batch->records;
        co_return outcome;
    }
    asio::awaitable<void> stop(TimePoint) override {
        ++stops;
        co_return;
    }
    std::size_t connections() const noexcept override { return places; }
    std::size_t places = 1;
    int stops = 0; // The export thread's, then the test's.
    bool throws = false;
};

TEST(Sink, OfTheProgramsOwnIsStoppedOnceAndItsOutcomesAreCounted) {
    const auto sink = std::make_shared<OwnSink>();
    Options options;
    options.sink = sink;
    Runtime runtime(options);
    { const Span span("s"); }
    ASSERT_TRUE(runtime.shutdown_blocking(60s)->complete);
    EXPECT_EQ(runtime.ledger().rejected, 1u);
    EXPECT_EQ(sink->stops, 1);
}

TEST(Sink, ThatThrowsLosesItsBatchAndIsCounted) {
    const auto sink = std::make_shared<OwnSink>();
    sink->throws = true;
    Options options;
    options.sink = sink;
    Runtime runtime(options);
    { const Span span("s"); }
    ASSERT_TRUE(runtime.shutdown_blocking(60s)->complete);
    EXPECT_EQ(runtime.ledger().dropped[static_cast<std::size_t>(DropReason::internal_error)], 1u);
}

TEST(Sink, ThatTakesNothingIsRefused) {
    const auto sink = std::make_shared<OwnSink>();
    sink->places = 0;
    Options options;
    options.sink = sink;
    EXPECT_EQ(problem_in(options), "Options::sink says connections() is 0: allowed is 1 or more");
    EXPECT_THROW(Runtime runtime(options), std::invalid_argument);
}

} // namespace
} // namespace weft::testing
