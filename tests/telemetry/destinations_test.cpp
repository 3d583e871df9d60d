#include "receiver.hpp"

#include <weft/signals/counter.hpp>
#include <weft/telemetry/runtime.hpp>
#include <weft/testing/json.hpp>

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <map>

// Several destinations of a whole Runtime, its spool, and the variables and options that ask for them.

namespace weft::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Variables = std::map<std::string, std::string>;

struct Read {
    Options options;
    std::vector<std::string> problems;
};
Read read(const Variables& variables) {
    Read result;
    result.options = options_from_env(
        [&](const char* name) -> const char* {
            const auto found = variables.find(name);
            return found == variables.end() ? nullptr : found->second.c_str();
        },
        result.problems);
    return result;
}

OtlpOptions otlp_to(const char* endpoint) {
    OtlpOptions options;
    options.endpoint = endpoint;
    return options;
}

class Destinations : public ::testing::Test {
protected:
    Destinations() {
        std::string pattern = std::filesystem::temp_directory_path() / "weft_dest_XXXXXX";
        folder = mkdtemp(pattern.data());
    }
    ~Destinations() override { std::filesystem::remove_all(folder); }
    static std::vector<std::string> lines_of(const std::filesystem::path& path) {
        std::ifstream file(path);
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);) { lines.push_back(line); }
        return lines;
    }
    static DestinationOptions to_file(const std::filesystem::path& path) {
        DestinationOptions made;
        made.name = "file";
        made.to = OtlpFileOptions{.path = path};
        return made;
    }

    std::filesystem::path folder;
    Receiver receiver;
};

TEST_F(Destinations, EachHasItsOwnLedgerAndTheFirstIsTheSignals) {
    auto options = receiver.options();
    options.metrics_exporter = ExporterKind::otlp;
    options.destinations = {to_file(folder / "{signal}.jsonl")};
    auto& dead = options.destinations.emplace_back();
    dead.name = "dead";
    dead.to = otlp_to("http://127.0.0.1:1");
    dead.signals = {Signal::traces};
    Runtime runtime(options);
    const Meter meter = runtime.meter("m");
    const Counter<std::int64_t> counter(meter, "c");
    counter.add(1);
    Span("one").end();
    EXPECT_FALSE(runtime.flush_blocking(300ms)->complete) << "one of them is dead";

    EXPECT_EQ(runtime.ledger().exported, 1u);
    EXPECT_EQ(runtime.ledger(Signal::traces, "otlp").exported, 1u);
    EXPECT_EQ(runtime.ledger(Signal::traces, "file").exported, 1u);
    EXPECT_EQ(runtime.ledger(Signal::traces, "dead").in_flight, 1u);
    EXPECT_EQ(runtime.ledger(Signal::metrics, "dead").created, 0u);
    EXPECT_EQ(runtime.ledger(Signal::traces, "nobody").created, 0u);
    EXPECT_GT(runtime.ledger(Signal::metrics, "file").exported, 0u);
    EXPECT_THAT(lines_of(folder / "traces.jsonl"), SizeIs(1));
    EXPECT_THAT(lines_of(folder / "traces.jsonl").at(0), HasSubstr("\"resourceSpans\""));
    EXPECT_THAT(lines_of(folder / "metrics.jsonl").at(0), HasSubstr("\"resourceMetrics\""));

    const auto json = runtime.ledger_json();
    EXPECT_THAT(json, HasSubstr("\"destinations\": {\"file\": {\"spans\": {\"created\": 1,"));
    EXPECT_THAT(json, HasSubstr("\"dead\": {\"spans\": {\"created\": 1,"));
    EXPECT_EQ(Json(json)["destinations"]["dead"]["spans"]["created"].get_uint64().value(), 1u);
    const auto report = runtime.shutdown_blocking(200ms);
    EXPECT_EQ(report->dropped, 1u);
    EXPECT_EQ(
        runtime.ledger(Signal::traces, "dead")
            .dropped[static_cast<std::size_t>(DropReason::shutdown)],
        1u);
}

TEST_F(Destinations, MayBeAllThatThereIs) {
    auto options = receiver.options();
    options.traces_exporter = ExporterKind::none;
    options.destinations = {to_file(folder / "t.jsonl")};
    options.destinations[0].signals = {Signal::traces};
    Runtime runtime(options);
    Span("one").end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_EQ(runtime.ledger().exported, 1u) << "then it is the first";
    EXPECT_EQ(runtime.ledger(Signal::traces, "file").exported, 1u);
    EXPECT_EQ(runtime.ledger_json().find("destinations"), std::string::npos);
    EXPECT_EQ(receiver.server().request_count(), 0u);
    EXPECT_THAT(lines_of(folder / "t.jsonl"), SizeIs(1));
}

TEST_F(Destinations, TellTheirLedgersAsMetrics) {
    auto options = receiver.options();
    options.metrics_exporter = ExporterKind::otlp;
    options.otlp.metrics_endpoint = "http://127.0.0.1:1";
    options.shutdown_timeout = 100ms;
    options.destinations = {to_file(folder / "{signal}.jsonl")};
    Runtime runtime(options);
    Span("one").end();
    (void)runtime.flush_blocking(300ms);
    (void)runtime.flush_blocking(300ms);
    const auto lines = lines_of(folder / "metrics.jsonl");
    ASSERT_THAT(lines, ::testing::Not(IsEmpty()));
    EXPECT_THAT(lines.back(), HasSubstr("weft.destination"));
    EXPECT_THAT(lines.back(), HasSubstr("otlp_file_span_exporter/file"));
}

TEST_F(Destinations, WithASpoolSendAtTheNextStartWhatWasLeft) {
    auto options = receiver.options();
    options.otlp.connections = 1; // With two, the second request may overtake the first.
    options.otlp.spool.emplace().directory = folder / "spool";
    auto dead = options;
    dead.otlp.endpoint = "http://127.0.0.1:1";
    {
        Runtime runtime(dead);
        for (int i = 0; i < 20; ++i) { Span("early").end(); }
        const auto report = runtime.shutdown_blocking(100ms);
        EXPECT_EQ(report->dropped, 0u);
        EXPECT_EQ(report->spooled, 20u);
        EXPECT_FALSE(report->complete);
        EXPECT_TRUE(runtime.ledger().is_balanced()) << runtime.ledger_json();
    }
    EXPECT_TRUE(std::filesystem::exists(folder / "spool" / "otlp" / "traces" / "0"));
    Runtime runtime(options);
    Span("late").end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    const auto ledger = runtime.ledger();
    EXPECT_EQ(ledger.created, 21u) << "what was resumed, too";
    EXPECT_EQ(ledger.exported, 21u);
    const auto names = receiver.names();
    ASSERT_THAT(names, SizeIs(21));
    EXPECT_EQ(names.back(), "late");
}

TEST_F(Destinations, OfTwoRuntimesThatShareARootHaveASpoolEach) {
    auto options = receiver.options();
    options.otlp.spool.emplace().directory = folder;
    options.otlp.endpoint = "http://127.0.0.1:1";
    Runtime one(options);
    Runtime other(options);
    Span(one.tracer("t"), "a").end();
    Span(other.tracer("t"), "b").end();
    EXPECT_EQ(one.shutdown_blocking(50ms)->spooled, 1u);
    EXPECT_EQ(other.shutdown_blocking(50ms)->spooled, 1u);
    EXPECT_TRUE(std::filesystem::exists(folder / "otlp" / "traces" / "0"));
    EXPECT_TRUE(std::filesystem::exists(folder / "otlp" / "traces" / "1"));
}

TEST_F(Destinations, WhoseSpoolCannotBeHadDoWithout) {
    std::ofstream(folder / "file") << "no folder";
    auto options = receiver.options();
    options.otlp.spool.emplace().directory = folder / "file" / "below";
    Runtime runtime(options);
    Span("one").end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_EQ(runtime.ledger().exported, 1u);
}

TEST(DestinationVariables, TakeListsOfExporters) {
    auto result =
        read({{"OTEL_TRACES_EXPORTER", "console,otlp"}, {"OTEL_METRICS_EXPORTER", "console"}});
    EXPECT_THAT(result.problems, IsEmpty());
    EXPECT_EQ(result.options.traces_exporter, ExporterKind::otlp);
    EXPECT_EQ(result.options.metrics_exporter, ExporterKind::none);
    ASSERT_THAT(result.options.destinations, SizeIs(1));
    const auto& console = result.options.destinations[0];
    EXPECT_EQ(console.name, "console");
    EXPECT_EQ(std::get<ConsoleOptions>(console.to).format, ConsoleFormat::text);
    EXPECT_THAT(console.signals, ElementsAre(Signal::traces, Signal::metrics));
    EXPECT_EQ(result.options.metric_reader.interval, 10s)
        << "who looks at a console waits no minute";
    EXPECT_EQ(problem_in(result.options), "");

    result = read({{"OTEL_TRACES_EXPORTER", "otlp/stdout"}});
    EXPECT_EQ(result.options.traces_exporter, ExporterKind::none);
    ASSERT_THAT(result.options.destinations, SizeIs(1));
    EXPECT_EQ(
        std::get<ConsoleOptions>(result.options.destinations[0].to).format, ConsoleFormat::json);
    EXPECT_EQ(problem_in(result.options), "");

    result = read({{"OTEL_METRICS_EXPORTER", "console"}, {"OTEL_METRIC_EXPORT_INTERVAL", "7000"}});
    EXPECT_EQ(result.options.metric_reader.interval, 7s);
    result = read({{"OTEL_METRICS_EXPORTER", "console,otlp"}});
    EXPECT_EQ(result.options.metric_reader.interval, 60s);
}

TEST(DestinationVariables, LeaveAnUnknownExporterOutAloneAndNameIt) {
    const auto result = read({{"OTEL_TRACES_EXPORTER", "zipkin,console"}});
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("OTEL_TRACES_EXPORTER=\"zipkin\"")));
    EXPECT_THAT(result.options.destinations, SizeIs(1));
}

TEST(DestinationVariables, AskForASpool) {
    auto result = read({{"WEFT_SPOOL_DIR", "/var/spool/x"}, {"WEFT_SPOOL_BYTES", "2097152"}});
    EXPECT_THAT(result.problems, IsEmpty());
    ASSERT_TRUE(result.options.otlp.spool);
    EXPECT_EQ(result.options.otlp.spool->directory, "/var/spool/x");
    EXPECT_EQ(result.options.otlp.spool->bytes_max, 2u << 20);

    result = read({{"WEFT_SPOOL_BYTES", "2097152"}});
    EXPECT_FALSE(result.options.otlp.spool);
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("only with WEFT_SPOOL_DIR")));
    result = read({{"WEFT_SPOOL_DIR", "/x"}, {"WEFT_SPOOL_BYTES", "12"}});
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("WEFT_SPOOL_BYTES=\"12\": allowed is")));
    EXPECT_TRUE(result.options.otlp.spool);
}

TEST(DestinationOptionsProblems, NameTheFieldAndTheRemedy) {
    const auto problem = [](const std::function<void(DestinationOptions&)>& change) {
        Options options;
        auto& one = options.destinations.emplace_back();
        one.name = "a";
        one.to = ConsoleOptions{};
        change(one);
        return problem_in(options);
    };
    EXPECT_EQ(problem([](auto&) {}), "");
    for (const char* name : {"", "otlp", "sink", "a/b", "..", "a b"}) {
        EXPECT_THAT(
            problem([&](auto& one) { one.name = name; }),
            HasSubstr("Options::destinations[0].name is \""))
            << name;
    }
    EXPECT_THAT(
        problem([](auto& one) { one.to = std::shared_ptr<Sink>(); }), HasSubstr("null Sink"));
    EXPECT_THAT(
        problem([](auto& one) { one.to = otlp_to("x"); }),
        HasSubstr("Options::destinations[0].to.endpoint is \"x\""));
    EXPECT_THAT(
        problem([](auto& one) { one.to = OtlpFileOptions{.path = "all.jsonl"}; }),
        HasSubstr("a file holds one of them"));
    EXPECT_EQ(problem([](auto& one) { one.to = OtlpFileOptions{.path = "{signal}.jsonl"}; }), "");
    EXPECT_EQ(
        problem([](auto& one) {
            one.to = OtlpFileOptions{.path = "t.jsonl"};
            one.signals = {Signal::traces};
        }),
        "");
    EXPECT_THAT(
        problem([](auto& one) { one.waiting_bytes_max = 1; }),
        HasSubstr("waiting_bytes_max is 1 bytes: allowed is 1024"));
    EXPECT_THAT(
        problem([](auto& one) { one.spool.emplace(); }),
        HasSubstr("Options::destinations[0].spool: "));
    EXPECT_THAT(
        problem([](auto& one) {
            auto otlp = OtlpOptions();
            otlp.spool.emplace();
            one.to = otlp;
        }),
        HasSubstr("allowed is Options::destinations[0].spool"));

    Options options;
    for (int i = 0; i < 2; ++i) {
        options.destinations.emplace_back().name = "same";
        options.destinations.back().to = ConsoleOptions{};
    }
    EXPECT_THAT(problem_in(options), HasSubstr("destinations[1].name is \"same\", as another's"));
    options.destinations.assign(17, options.destinations[0]);
    EXPECT_THAT(problem_in(options), HasSubstr("has 17: allowed is up to 16"));
    options.destinations.clear();
    options.otlp.spool.emplace();
    EXPECT_THAT(problem_in(options), HasSubstr("Options::otlp.spool: "));
}

} // namespace
} // namespace weft::testing
