#include "options_fixture.hpp"

#include <weft/telemetry/options.hpp>
#include <weft/telemetry/runtime.hpp>

#include <boost/asio/post.hpp>

#include <cstdlib>
#include <limits>
#include <mutex>
#include <random>

// The real environment, the library's own log, and what a Runtime says to whatever the environment
// holds.

namespace weft::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProcessEnvironment : public ::testing::Test {
protected:
    void SetUp() override {
        for (const auto& name : known_variables()) { unsetenv(name.c_str()); }
        diagnostics().set_handler([this](const Diagnostic& diagnostic) {
            const std::lock_guard lock(mutex_);
            lines.push_back(
                std::string(name(diagnostic.level)) + ": " + std::string(diagnostic.message));
        });
    }
    void TearDown() override {
        for (const auto& name : known_variables()) { unsetenv(name.c_str()); }
        diagnostics().set_handler(nullptr);
        diagnostics().set_level(DiagnosticLevel::info);
    }

    std::vector<std::string> lines;

private:
    std::mutex mutex_;
};

TEST_F(ProcessEnvironment, IsReadAndItsFaultsAreWarnings) {
    setenv("OTEL_SERVICE_NAME", "from the process", 1);
    setenv("OTEL_BSP_SCHEDULE_DELAY", "some time", 1);
    setenv("OTEL_TRACES_SAMPLER", "some", 1);

    const auto options = options_from_env();

    EXPECT_EQ(options.service_name, "from the process");
    EXPECT_EQ(lines.size(), 2u);
    EXPECT_THAT(
        lines,
        Contains(AllOf(HasSubstr("warning: OTEL_BSP_SCHEDULE_DELAY"), HasSubstr("some time"))));
    EXPECT_THAT(lines, Contains(HasSubstr("warning: OTEL_TRACES_SAMPLER=")));
}

TEST_F(ProcessEnvironment, SetsTheLevelOfTheLibrarysLog) {
    const auto level_after = [](const char* value) {
        setenv("OTEL_LOG_LEVEL", value, 1);
        (void)options_from_env();
        for (const auto level :
             {DiagnosticLevel::debug, DiagnosticLevel::info, DiagnosticLevel::warning,
              DiagnosticLevel::error}) {
            if (diagnostics().enabled(level)) { return level; }
        }
        return DiagnosticLevel::none;
    };
    EXPECT_EQ(level_after("debug"), DiagnosticLevel::debug);
    EXPECT_EQ(level_after(" Error\t"), DiagnosticLevel::error);
    EXPECT_EQ(level_after("none"), DiagnosticLevel::none);
    EXPECT_EQ(level_after("WARN"), DiagnosticLevel::warning);
    EXPECT_EQ(level_after("shout"), DiagnosticLevel::info) << "the default";
    EXPECT_THAT(lines, Contains(HasSubstr("OTEL_LOG_LEVEL=\"shout\"")));
}

// A level that the program has set by code is not undone by a variable that says nothing.
TEST_F(ProcessEnvironment, LeavesTheLevelAloneWhenTheVariableIsEmpty) {
    diagnostics().set_level(DiagnosticLevel::error);
    setenv("OTEL_LOG_LEVEL", "", 1);
    (void)options_from_env();
    EXPECT_FALSE(diagnostics().enabled(DiagnosticLevel::warning));
    unsetenv("OTEL_LOG_LEVEL");
    (void)options_from_env();
    EXPECT_FALSE(diagnostics().enabled(DiagnosticLevel::warning));
}

TEST_F(ProcessEnvironment, WithACaFileThatIsNotThereLetsTheProgramRun) {
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1", 1);
    setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt", 1);
    setenv("OTEL_METRICS_EXPORTER", "none", 1);
    {
        auto options = options_from_env();
        options.shutdown_timeout = std::chrono::milliseconds(0);
        Runtime runtime(std::move(options));
        Span("waits").end();
        EXPECT_EQ(runtime.run(), 0);
    }
    unsetenv("OTEL_EXPORTER_OTLP_CERTIFICATE");
    unsetenv("OTEL_METRICS_EXPORTER");
    ASSERT_GE(lines.size(), 2u);
    EXPECT_THAT(lines[0], HasSubstr("OTEL_EXPORTER_OTLP_CERTIFICATE=\"/nowhere/ca.crt\""));
    EXPECT_THAT(lines[1], HasSubstr("error: export to https://localhost:1/v1/traces: tls.ca_file"));
}

TEST_F(ProcessEnvironment, WithAFormOfLedgerThatIsNoneIsToldSoBeforeTheRun) {
    setenv("WEFT_LEDGER", "xml", 1);
    setenv("OTEL_SDK_DISABLED", "true", 1);
    Runtime runtime(options_from_env());
    std::vector<std::string> then;
    boost::asio::post(runtime.io_context(), [&] { then = lines; });

    EXPECT_EQ(runtime.run(), 0);

    unsetenv("WEFT_LEDGER");
    EXPECT_THAT(
        then, ::testing::ElementsAre(
                  "warning: WEFT_LEDGER=\"xml\": allowed is json; it counts as unset"));
}

// Goal: whatever the environment holds, options made from it are good, and a Runtime takes them.
// Method: random choices among good, odd and hostile values for every variable at once; printed
// seed.
TEST_F(ProcessEnvironment, NeverMakesARuntimeThrow) {
    constexpr unsigned seed = 4318;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const std::string long_text(100'000, 'x');
    const std::vector<std::string> values{
        "",
        " ",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "2147483647",
        "2147483648",
        "0.5",
        "nan",
        "always_off",
        "gzip",
        "zstd",
        "none",
        "otlp",
        "http://h",
        "http://127.0.0.1:9/x?y",
        "https://h",
        "http://",
        "a=b",
        "a=b,c=d%20e",
        "a=%ff%00",
        "=,=,=",
        "\xff\xfe",
        "\n\x1b",
        "%",
        long_text,
        "a=" + long_text,
        "http://" + long_text,
        "1000000",
        "300000",
        "604800001",
        "86400001",
        "debug",
        "traceidratio"};
    int made = 0;
    for (int i = 0; i < 2000; ++i) {
        Variables variables;
        for (const auto& name : known_variables()) {
            if (random() % 3 != 0) { variables[name] = values[random() % values.size()]; }
        }
        auto [options, problems] = read(variables);
        ASSERT_EQ(problem_in(options), "") << i;
        if (options.disabled || i % 50 != 0) { continue; }
        options.shutdown_timeout = std::chrono::milliseconds(0);
        ASSERT_NO_THROW(Runtime runtime(std::move(options))) << i;
        ++made;
    }
    EXPECT_GT(made, 10);
}

TEST(OptionsProblem, NamesTheFieldAndWhatIsAllowed) {
    using namespace std::chrono_literals;
    const auto problem_after = [](auto change) {
        Options options;
        change(options);
        const auto problem = problem_in(options);
        // What the options' check says and what a Runtime does are the same.
        if (problem.empty()) { return problem; }
        try {
            const Runtime runtime(options);
            ADD_FAILURE() << "a Runtime took them: " << problem;
        } catch (const std::invalid_argument& error) { EXPECT_EQ(error.what(), problem); }
        return problem;
    };
    EXPECT_EQ(problem_in(Options{}), "");
    EXPECT_THAT(
        problem_after([](auto& o) { o.threads = 0; }),
        HasSubstr("Options::threads is 0: allowed is 1 to 256"));
    EXPECT_THAT(problem_after([](auto& o) { o.threads = 257; }), HasSubstr("threads is 257"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.shutdown_timeout = -1ms; }),
        HasSubstr("shutdown_timeout is -1 ms"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.shutdown_timeout = 25h; }), HasSubstr("shutdown_timeout"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.stop_grace = -1ms; }), HasSubstr("stop_grace is -1 ms"));
    EXPECT_THAT(problem_after([](auto& o) { o.stop_grace = 25h; }), HasSubstr("stop_grace"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.span_limits.attribute_value_depth = 0; }),
        HasSubstr("attribute_value_depth is 0: allowed is 1 to 64"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.span_limits.attribute_value_depth = 65; }),
        HasSubstr("attribute_value_depth"));
    EXPECT_THAT(problem_after([](auto& o) { o.batch.shards = 0; }), HasSubstr("shards is 0"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.otlp.endpoint = "nowhere"; }),
        HasSubstr("otlp.endpoint is \"nowhere\""));
    EXPECT_THAT(
        problem_after([](auto& o) { o.otlp.tls.key_file = "/k"; }),
        HasSubstr("otlp.tls.key_file is set and tls.certificate_file is not"));
    EXPECT_THAT(
        problem_after([](auto& o) {
            o.otlp.endpoint = "http://out.test";
            o.otlp.proxy.http = "ftp://p";
        }),
        HasSubstr("otlp.proxy.http is \"ftp://p\""));
    EXPECT_THAT(
        problem_after([](auto& o) { o.otlp.traces_endpoint = "ftp://h"; }),
        HasSubstr("otlp.traces_endpoint"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.otlp.metrics_endpoint = "ftp://h"; }),
        HasSubstr("otlp.metrics_endpoint"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.otlp.metrics.timeout = -1ms; }),
        HasSubstr("Options::otlp.metrics.timeout is -1 ms"));
    EXPECT_THAT(
        problem_after([](auto& o) {
            o.otlp.traces.headers = std::vector<HeaderField>{{"content-length", "s3cret"}};
        }),
        AllOf(HasSubstr("Options::otlp.traces.headers"), ::testing::Not(HasSubstr("s3cret"))));
    EXPECT_THAT(
        problem_after([](auto& o) { o.metric_reader.interval = 0ms; }),
        HasSubstr("PeriodicReaderOptions::interval is 0 ms"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.otlp.connections = 0; }),
        HasSubstr("Options::otlp.connections is 0: allowed is 1 to 64"));
    EXPECT_THAT(problem_after([](auto& o) { o.otlp.connections = 65; }), HasSubstr("connections"));
    EXPECT_THAT(problem_after([](auto& o) { o.otlp.timeout = -1ms; }), HasSubstr("timeout"));
    EXPECT_THAT(problem_after([](auto& o) { o.otlp.retry.jitter = 2; }), HasSubstr("retry.jitter"));
    EXPECT_THAT(
        problem_after([](auto& o) {
            o.otlp.headers = {{"content-length", "s3cret"}};
        }),
        AllOf(HasSubstr("content-length"), ::testing::Not(HasSubstr("s3cret"))));
    EXPECT_THAT(
        problem_after([](auto& o) {
            o.otlp.compression = Compression::gzip;
            o.otlp.compression_level = 99;
        }),
        HasSubstr("compression_level"));
}

TEST(OptionsProblem, IsNoneForAnEndpointThatIsNotUsed) {
    Options options;
    options.metrics_exporter = ExporterKind::none;
    options.otlp.endpoint = "nowhere";
    options.otlp.traces_endpoint = "http://h/v1/traces";
    EXPECT_EQ(problem_in(options), "");
    options.otlp.traces_endpoint = "nowhere either";
    options.traces_exporter = ExporterKind::none;
    EXPECT_EQ(problem_in(options), "");
    options.traces_exporter = ExporterKind::otlp;
    options.metrics_exporter = ExporterKind::otlp;
    options.disabled = true;
    EXPECT_EQ(problem_in(options), "");
}

} // namespace
} // namespace weft::testing
