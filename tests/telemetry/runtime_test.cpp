#include "receiver.hpp"

#include <weft/runtime/operators.hpp>
#include <weft/telemetry/runtime.hpp>
#include <weft/testing/json.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>

#include <csignal>
#include <future>
#include <limits>
#include <mutex>
#include <optional>

// What a Runtime promises apart from its event loop: where spans go, flush and shutdown in both
// forms, what it leaves behind.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::uint64_t dropped(const Ledger& ledger, DropReason reason) {
    return ledger.dropped[static_cast<std::size_t>(reason)];
}

TEST(Runtime, ExportsWhatHasEndedWithItsResourceAndScope) {
    Receiver receiver;
    auto options = receiver.options();
    options.resource.set("team", "a");
    Runtime runtime(options);
    {
        const Span outer("outer");
        const Span inner("inner");
    }

    const auto report = runtime.flush_blocking(10s);

    ASSERT_TRUE(report);
    EXPECT_TRUE(report->complete);
    EXPECT_EQ(report->exported, 2u);
    const auto messages = receiver.messages();
    ASSERT_EQ(messages.size(), 1u);
    std::map<std::string, std::string> resource;
    for (const auto& attribute : messages[0].resource_spans(0).resource().attributes()) {
        resource[attribute.key()] = attribute.value().string_value();
    }
    EXPECT_EQ(resource["service.name"], "test");
    EXPECT_EQ(resource["team"], "a");
    EXPECT_EQ(resource["telemetry.sdk.name"], "weft");
    EXPECT_EQ(
        messages[0].resource_spans(0).schema_url().rfind("https://opentelemetry.io/schemas/", 0),
        0u);
    ASSERT_EQ(messages[0].resource_spans(0).scope_spans_size(), 1);
    EXPECT_EQ(messages[0].resource_spans(0).scope_spans(0).scope().name(), "weft");
    const auto spans = receiver.spans();
    ASSERT_EQ(spans.size(), 2u);
    EXPECT_EQ(spans[0].name(), "inner");
    EXPECT_EQ(spans[0].parent_span_id(), spans[1].span_id());
    EXPECT_EQ(receiver.server().requests()[0].target, "/v1/traces");
    EXPECT_EQ(runtime.service_name(), "test");
}

TEST(Runtime, UsesATracesEndpointAsItIs) {
    Receiver receiver;
    auto options = receiver.options();
    options.otlp.traces_endpoint = receiver.server().url("/own/path?tenant=1");
    options.otlp.endpoint = "http://nowhere.invalid";
    options.otlp.headers = {{"api-key", "k"}};
    Runtime runtime(options);
    Span("one").end();

    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);

    ASSERT_EQ(receiver.server().request_count(), 1u);
    EXPECT_EQ(receiver.server().requests()[0].target, "/own/path?tenant=1");
    EXPECT_EQ(receiver.server().requests()[0].header("api-key"), "k");
}

TEST(Runtime, TakesItsServiceNameFromOptionsResourceOrExecutableInThatOrder) {
    Options options;
    options.traces_exporter = options.metrics_exporter = ExporterKind::none;
    EXPECT_EQ(Runtime(options).service_name().rfind("unknown_service:", 0), 0u);
    options.resource.set("service.name", "from the resource");
    EXPECT_EQ(Runtime(options).service_name(), "from the resource");
    options.service_name = "own";
    EXPECT_EQ(Runtime(options).service_name(), "own");
}

TEST(Runtime, DestructionExportsWhatIsLeft) {
    Receiver receiver;
    {
        Runtime runtime(receiver.options());
        Span("last words").end();
    }
    EXPECT_THAT(receiver.names(), ElementsAre("last words"));
}

TEST(Runtime, DestructionKeepsItsTimeoutAgainstASilentReceiver) {
    Receiver receiver;
    receiver.server().set_default(silence());
    auto options = receiver.options();
    options.shutdown_timeout = 60ms;
    const auto best = best_of(60ms, [&] {
        std::optional<Runtime> runtime(std::in_place, options);
        Span("unheard").end();
        const auto began = Clock::now();
        runtime.reset();
        return Clock::now() - began;
    });
    EXPECT_LE(best, 60ms + slack);
}

// Goal: closing connections, timers and descriptors happens before what they run on goes. Method: a
// destruction in the middle of everything, under the address sanitizer.
TEST(Runtime, MayBeDestroyedInAnyState) {
    for (const auto& reply :
         {silence(), answer(503), answer(503, {{"Retry-After", "3600"}}), never_read(), reset()}) {
        Receiver receiver;
        receiver.server().set_default(reply);
        for (int i = 0; i < 10; ++i) {
            auto options = receiver.options();
            options.shutdown_timeout = std::chrono::milliseconds(i % 3);
            options.batch.records_max = 5;
            Runtime runtime(options);
            for (int j = 0; j < 30; ++j) { Span("s").end(); }
            if (i % 2 == 0) { (void)runtime.flush_blocking(1ms); }
            if (i % 5 == 0) { (void)runtime.shutdown_blocking(0ms); }
        }
    }
}

TEST(Runtime, BothBlockingFormsKeepTheirDeadline) {
    Receiver receiver;
    receiver.server().set_default(silence());
    Runtime runtime(receiver.options());
    Span("unheard").end();
    FlushReport report;

    const auto flushed = best_of(60ms, [&] {
        const auto began = Clock::now();
        report = *runtime.flush_blocking(60ms);
        return Clock::now() - began;
    });
    EXPECT_LE(flushed, 60ms + slack);
    EXPECT_FALSE(report.complete);
    EXPECT_EQ(report.pending, 1u);

    const auto began = Clock::now();
    report = *runtime.shutdown_blocking(60ms);
    EXPECT_GE(Clock::now() - began, 60ms);
    EXPECT_LT(Clock::now() - began, 5s);
    EXPECT_EQ(report.dropped, 1u);
    EXPECT_EQ(report.pending, 0u);
    EXPECT_EQ(dropped(runtime.ledger(), DropReason::shutdown), 1u);
}

TEST(Runtime, TakesAnyDurationForADeadline) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    Span("one").end();
    EXPECT_FALSE(runtime.flush_blocking(std::chrono::milliseconds::min())->complete);
    EXPECT_TRUE(runtime.flush_blocking(std::chrono::milliseconds::max())->complete);
    EXPECT_TRUE(runtime.shutdown_blocking(std::chrono::milliseconds::max())->complete);
    EXPECT_EQ(runtime.ledger().exported, 1u);
}

TEST(Runtime, AfterShutdownSpansAreCountedAndNothingElse) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    Span open("ends too late");
    const Tracer tracer = runtime.tracer("late");
    Span("in time").end();
    EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
    EXPECT_FALSE(tracer.is_enabled());

    open.end();
    Span(tracer, "even later").end();
    Span("to nobody").end();
    const auto again = runtime.shutdown_blocking(1h);
    const auto flushed = runtime.flush_blocking(1h);

    EXPECT_TRUE(again->complete);
    EXPECT_TRUE(flushed->complete);
    EXPECT_EQ(again->exported + again->dropped + again->pending, 0u);
    const auto ledger = runtime.ledger();
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.created, 3u);
    EXPECT_EQ(ledger.exported, 1u);
    EXPECT_EQ(dropped(ledger, DropReason::shutdown), 2u);
    EXPECT_THAT(receiver.names(), ElementsAre("in time"));
}

TEST(Runtime, SpansMayOutliveIt) {
    Receiver receiver;
    std::optional<Runtime> runtime(std::in_place, receiver.options());
    Span outer("outer");
    std::optional<Span> inner(std::in_place, "inner");
    const Tracer tracer = runtime->tracer("survivor");
    runtime.reset();

    inner->set_attribute("still", "safe");
    inner.reset();
    outer.end();
    Span(tracer, "after").end();
    EXPECT_FALSE(tracer.is_enabled());
    std::thread([&] { Span(tracer, "elsewhere").end(); }).join();
}

TEST(Runtime, SuspendedCoroutinesWithOpenSpansGoWithTheirContext) {
    Receiver receiver;
    bool destroyed = false;
    struct Flag {
        bool& flag;
        ~Flag() { flag = true; }
    };
    {
        Runtime runtime(receiver.options());
        weft::co_spawn(
            runtime,
            [&]() -> Task<void> {
                const Flag flag{destroyed};
                const Span span("never ends by itself");
                asio::steady_timer timer(runtime.io_context(), 1h);
                co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
            },
            [](const std::exception_ptr&) {});
        runtime.io_context().poll();
        EXPECT_FALSE(destroyed);
    }
    EXPECT_TRUE(destroyed);
}

TEST(Runtime, TheFirstIsTheDefaultAndTracersOfOthersGoToTheirOwn) {
    Receiver one;
    Receiver two;
    Receiver three;
    std::optional<Runtime> first(std::in_place, one.options());
    std::optional<Runtime> second(std::in_place, two.options());
    const Tracer tracer = second->tracer("own");
    Span("default").end();
    {
        const Span span(tracer, "second's");
        Span("default again").end();
    }
    first->shutdown_blocking(10s);
    Span("to nobody").end();
    Span(tracer, "second's again").end();
    first.reset();
    std::optional<Runtime> third(std::in_place, three.options());
    Span("third's").end();
    second.reset();
    Span("still third's").end();
    third.reset();

    EXPECT_THAT(one.names(), UnorderedElementsAre("default", "default again"));
    EXPECT_THAT(two.names(), UnorderedElementsAre("second's", "second's again"));
    EXPECT_THAT(three.names(), UnorderedElementsAre("third's", "still third's"));
}

TEST(Runtime, NeedNotBecomeTheDefault) {
    Receiver receiver;
    auto options = receiver.options();
    options.make_default = false;
    {
        Runtime runtime(options);
        Span("to nobody").end();
        Span(runtime.tracer("own"), "mine").end();
    }
    EXPECT_THAT(receiver.names(), ElementsAre("mine"));
}

TEST(Runtime, SetsTheProcessesPropagatorsUntilItEndsUnlessAnotherWasFirst) {
    const auto speaking = [](const Propagators& propagators, bool make_default = true) {
        Options options;
        options.disabled = true; // Propagation goes on without telemetry.
        options.propagators = propagators;
        options.make_default = make_default;
        return options;
    };
    {
        const Runtime unheard(speaking({Propagator::xray}, false));
        EXPECT_EQ(default_propagators(), Propagators());
        const Runtime first(speaking({Propagator::b3}));
        EXPECT_EQ(default_propagators(), Propagators{Propagator::b3});
        const Runtime second(speaking({Propagator::jaeger}));
        EXPECT_EQ(default_propagators(), Propagators{Propagator::b3});
    }
    EXPECT_EQ(default_propagators(), Propagators());
    const Runtime next(speaking(Propagators::none()));
    EXPECT_EQ(default_propagators(), Propagators::none());
}

TEST(Runtime, TracersOfOneThatIsSwitchedOffGoNowhereThoughAnotherIsOn) {
    Receiver receiver;
    {
        Runtime on(receiver.options());
        Options disabled;
        disabled.disabled = true;
        const Runtime off(disabled);
        const Tracer tracer = off.tracer("off");
        EXPECT_FALSE(tracer.is_enabled());
        const Span span(tracer, "nowhere");
        EXPECT_FALSE(span.is_recording());
        Span("somewhere").end();
    }
    EXPECT_THAT(receiver.names(), ElementsAre("somewhere"));
}

class SwitchedOff : public ::testing::TestWithParam<const char*> {
protected:
    static Options options() {
        std::vector<std::string> problems;
        auto options = options_from_env(
            [](const char* name) {
                const std::string_view asked(name);
                if (asked == "OTEL_METRICS_EXPORTER") { return "none"; }
                return asked == variable().first ? variable().second : nullptr;
            },
            problems);
        EXPECT_THAT(problems, IsEmpty());
        return options;
    }
    static std::pair<std::string_view, const char*> variable() {
        return std::string_view(GetParam()) == "disabled"
                   ? std::pair("OTEL_SDK_DISABLED", "true")
                   : std::pair("OTEL_TRACES_EXPORTER", "none");
    }
};

TEST_P(SwitchedOff, HasNoThreadAndNoSpansButWorksOtherwise) {
    const auto threads = thread_count();
    const auto descriptors = descriptor_count();
    {
        asio::io_context io;
        Runtime runtime(io, options());
        EXPECT_EQ(thread_count(), threads);
        Span span("nowhere", {{"a", 1}});
        EXPECT_FALSE(span.is_recording());
        EXPECT_FALSE(span.context().is_valid());
        EXPECT_FALSE(current_span().is_recording());
        span.end();
        EXPECT_TRUE(runtime.flush_blocking(1h)->complete);
        EXPECT_TRUE(runtime.shutdown_blocking(1h)->complete);
        EXPECT_EQ(runtime.ledger().created, 0u);
        EXPECT_TRUE(runtime.ledger().is_balanced());
        bool flushed = false;
        weft::co_spawn(
            runtime,
            [&]() -> Task<void> {
                const auto report = co_await runtime.flush(1h);
                EXPECT_TRUE(report.complete);
                const auto last = co_await runtime.shutdown(1h);
                EXPECT_TRUE(last.complete);
                flushed = true;
            },
            [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
        EXPECT_EQ(runtime.run(), 0);
        EXPECT_TRUE(flushed);
    }
    EXPECT_EQ(thread_count(), threads);
    EXPECT_LE(descriptor_count(), descriptors + 2) << "Asio's signal pipe stays";
}

TEST_P(SwitchedOff, PassesARemoteParentOn) {
    const Runtime runtime(options());
    TraceContext parent;
    parent.span.trace_id = random_trace_id();
    parent.span.span_id = random_span_id();
    parent.span.flags = trace_flags::sampled;
    parent.span.is_remote = true;

    const Span span("server", {}, {.parent = parent});

    EXPECT_FALSE(span.is_recording());
    EXPECT_EQ(span.context().trace_id, parent.span.trace_id);
    EXPECT_EQ(span.context().span_id, parent.span.span_id);
}

INSTANTIATE_TEST_SUITE_P(
    Runtime, SwitchedOff, ::testing::Values("disabled", "none"),
    [](const auto& tested) { return std::string(tested.param); });

TEST(Runtime, TwoHundredOfThemLeaveNothingBehind) {
    Receiver receiver;
    const auto make = [&](int i) {
        auto options = receiver.options();
        Runtime runtime(options);
        if (i % 2 == 0) { Span("s").end(); }
        if (i % 3 == 0) { EXPECT_TRUE(runtime.flush_blocking(10s)->complete); }
    };
    make(0);
    receiver.server().close_connections();
    EXPECT_TRUE(wait_for([&] { return threads_named("weft-export").empty(); }));
    const auto threads = thread_count();
    const auto descriptors = descriptor_count();

    for (int i = 0; i < 200; ++i) { make(i); }

    receiver.server().close_connections();
    EXPECT_TRUE(wait_for([&] { return thread_count() <= threads; }))
        << thread_count() << " threads";
    EXPECT_TRUE(wait_for([&] { return descriptor_count() <= descriptors + 2; }))
        << descriptor_count() << " descriptors, before " << descriptors;
}

// Its own thread must not become the one that a handler of the program's runs on, nor hide a crash
// from it.
TEST(Runtime, ItsThreadLeavesSignalsToTheProgram) {
    Receiver receiver;
    const Runtime runtime(receiver.options());
    ASSERT_TRUE(wait_for([] { return threads_named("weft-export").size() == 1; }));
    std::ifstream status("/proc/self/task/" + threads_named("weft-export")[0] + "/status");
    std::uint64_t blocked = 0;
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("SigBlk:", 0) == 0) { blocked = std::stoull(line.substr(7), nullptr, 16); }
    }
    const auto is_blocked = [&](int signal) { return (blocked >> (signal - 1) & 1) != 0; };
    for (const int signal :
         {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM, SIGPIPE, SIGWINCH}) {
        EXPECT_TRUE(is_blocked(signal)) << signal;
    }
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        EXPECT_FALSE(is_blocked(signal)) << signal;
    }
}

TEST(Runtime, BlockingCallsOnItsOwnThreadAreRefused) {
    otlp::collector::trace::v1::ExportTraceServiceResponse partial;
    partial.mutable_partial_success()->set_rejected_spans(1);
    Receiver receiver;
    receiver.server().set_default(
        answer(200, {{"Content-Type", "application/x-protobuf"}}, partial.SerializeAsString()));
    Runtime runtime(receiver.options());
    std::promise<std::pair<Result<FlushReport>, Result<FlushReport>>> said;
    std::once_flag once;
    diagnostics().set_handler([&](const Diagnostic&) { // Runs where the answer is read.
        std::call_once(once, [&] {
            auto flushed = runtime.flush_blocking(1h);
            said.set_value({flushed, runtime.shutdown_blocking(1h)});
        });
    });
    Span("partly").end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    auto answer = said.get_future();
    EXPECT_EQ(answer.wait_for(0s), std::future_status::ready);
    diagnostics().set_handler(nullptr);
    const auto [flushed, stopped] = answer.get();

    EXPECT_EQ(flushed.error(), make_error_code(Errc::wrong_thread));
    EXPECT_EQ(stopped.error(), make_error_code(Errc::wrong_thread));
    EXPECT_EQ(runtime.ledger().rejected, 1u);
}

// Goal: a single-threaded loop goes on while one of its coroutines waits for the export. Method: a
// timer ticks meanwhile.
TEST(Runtime, FlushAndShutdownLeaveASingleThreadedLoopTurning) {
    Receiver receiver;
    receiver.server().set_default(silence());
    asio::io_context io;
    Runtime runtime(io, receiver.options());
    int ticks = 0;
    bool stop = false;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            asio::steady_timer timer(io);
            while (!stop) {
                timer.expires_after(1ms);
                co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
                ++ticks;
            }
        },
        [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    std::array<int, 2> ticked{};
    std::array<FlushReport, 2> reports;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            const Span around("around");
            Span("unheard").end();
            const auto thread = std::this_thread::get_id();
            int before = ticks;
            reports[0] = co_await runtime.flush(100ms);
            ticked[0] = ticks - before;
            EXPECT_EQ(std::this_thread::get_id(), thread) << "back on the program's own loop";
            EXPECT_TRUE(current_span().is_recording()) << "with its own context";
            before = ticks;
            reports[1] = co_await runtime.shutdown(Clock::now() + 100ms);
            ticked[1] = ticks - before;
            stop = true;
        },
        [](const std::exception_ptr& error) { EXPECT_FALSE(error); });

    io.run();

    EXPECT_GT(ticked[0], 5);
    EXPECT_GT(ticked[1], 5);
    EXPECT_FALSE(reports[0].complete);
    EXPECT_EQ(reports[0].pending, 1u);
    EXPECT_EQ(reports[1].dropped, 1u);
    EXPECT_EQ(runtime.ledger().created, 2u) << "and the span around the shutdown is counted";
}

TEST(Runtime, ManyCoroutinesMayFlushAtOnce) {
    Receiver receiver;
    asio::io_context io;
    Runtime runtime(io, receiver.options());
    int complete = 0;
    for (int i = 0; i < 50; ++i) {
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                Span("s").end();
                const auto report = co_await runtime.flush(10s);
                complete += report.complete ? 1 : 0;
            },
            [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    }
    io.run();
    EXPECT_EQ(complete, 50);
    EXPECT_EQ(receiver.names().size(), 50u);
}

// What loses a race is cancelled on the other thread; it must neither hang nor stop the export half
// way.
TEST(Runtime, AFlushOrShutdownThatLosesARaceIsCancelled) {
    Receiver receiver;
    receiver.server().set_default(silence());
    asio::io_context io;
    Runtime runtime(io, receiver.options());
    Span("unheard").end();
    const auto began = Clock::now();
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            asio::steady_timer timer(io);
            const auto wait = [&]() -> Task<void> {
                timer.expires_after(20ms);
                co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
            };
            co_await (runtime.flush(1h) || wait());
            co_await (runtime.shutdown(1h) || wait());
        },
        [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    io.run();

    EXPECT_LT(Clock::now() - began, 10s);
    EXPECT_EQ(runtime.shutdown_blocking(0ms)->pending, 0u);
    EXPECT_EQ(dropped(runtime.ledger(), DropReason::shutdown), 1u);
}

TEST(Runtime, ItsLedgerIsOneLineOfJsonWhateverTheServicesName) {
    Receiver receiver;
    for (const std::string name :
         {"plain", "say \"hi\" \\ there", "line\nbreak\ttab", "\xff\xfe", "\xE2\x82\xAC"}) {
        auto options = receiver.options();
        options.service_name = name;
        Runtime runtime(options);
        Span("s").end();
        runtime.flush_blocking(10s);

        const auto json = runtime.ledger_json();

        EXPECT_EQ(json.find('\n'), std::string::npos);
        const Json object(json);
        EXPECT_TRUE(object["service"].is_string());
        EXPECT_EQ(object["spans"]["created"].get_uint64().value(), 1U);
        EXPECT_EQ(object["spans"]["exported"].get_uint64().value(), 1U);
    }
}

TEST(Runtime, RefusesBadOptionsAndLeavesNothingBehind) {
    Receiver receiver;
    const auto threads = thread_count();
    auto options = receiver.options();
    options.threads = 0;
    EXPECT_THROW(Runtime{options}, std::invalid_argument);
    options = receiver.options();
    options.otlp.endpoint = "ftp://collector.example";
    EXPECT_THROW(Runtime{options}, std::invalid_argument);
    EXPECT_EQ(thread_count(), threads);

    Runtime good(receiver.options());
    Span("default").end();
    EXPECT_TRUE(good.flush_blocking(10s)->complete);
    EXPECT_EQ(good.ledger().exported, 1u);
}

} // namespace
} // namespace weft::testing
