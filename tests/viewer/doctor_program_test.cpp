// The programs `weft doctor` and `weft tune`, as a user starts them: against `weft receive`, and against servers that are
// broken in every way.
#include "child_program.hpp"

#include <weft/testing/json.hpp>
#include <weft/testing/loopback_server.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>

#include <map>
#include <thread>

namespace weft {
namespace {

using ::testing::AllOf;
using testing::answer;
using testing::ChildProgram;
using ::testing::HasSubstr;
using testing::Json;
using testing::LoopbackServer;
using ::testing::Not;

namespace asio = boost::asio;

// A server that misbehaves as it is told, on a thread of its own.
class Server {
public:
    explicit Server(testing::Reply always) : thread_([this] { io_.run(); }) {
        server_.set_default(std::move(always));
    }
    ~Server() {
        io_.stop();
        thread_.join();
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    [[nodiscard]] LoopbackServer& operator*() { return server_; }
    [[nodiscard]] std::string url() const { return server_.url(""); }

private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};
    LoopbackServer server_{io_.get_executor()};
    std::thread thread_;
};

struct Said {
    int status = -1;
    std::string out;
    std::string err;
};

Said run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"/usr/bin/env", "-i", WEFT_PROGRAM});
    ChildProgram program(std::move(arguments));
    Said said;
    said.status = program.wait();
    said.out = program.out();
    said.err = program.err();
    return said;
}

// The steps of a doctor's JSON: state, and what to do about it.
struct Steps {
    bool ok = false;
    std::map<std::string, std::string> state;
    std::map<std::string, std::string> says;
    std::map<std::string, std::string> remedy;
};

Steps examine(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"doctor", "--json"});
    const auto said = run(std::move(arguments));
    EXPECT_EQ(said.err, "");
    Steps steps;
    Json json(said.out);
    steps.ok = json["ok"].get_bool().value();
    EXPECT_EQ(said.status, steps.ok ? 0 : 1);
    for (const auto step : json["steps"].get_array()) {
        const std::string name(step["step"].get_string().value());
        steps.state[name] = std::string(step["state"].get_string().value());
        steps.says[name] = std::string(step["says"].get_string().value());
        steps.remedy[name] = std::string(step["remedy"].get_string().value());
        EXPECT_EQ(steps.state[name] == "failed", !steps.remedy[name].empty()) << name;
    }
    return steps;
}

std::string local(std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); }

TEST(WeftDoctor, FindsAReceiverInOrderAndSendsItOneOfEach) {
    ChildProgram receiver({WEFT_PROGRAM, "receive", "--port", "0", "--quiet"});
    const auto port = receiver.port();
    ASSERT_NE(port, 0);

    const auto text = run({"doctor", "--endpoint", "http://localhost:" + std::to_string(port)});
    const auto steps = examine({"--endpoint", local(port)});

    EXPECT_EQ(text.status, 0) << text.out << text.err;
    EXPECT_THAT(text.out, AllOf(HasSubstr("one span accepted"), HasSubstr("all is well")));
    EXPECT_TRUE(steps.ok);
    for (const auto* step : {"resolve", "connect", "auth", "traces", "metrics", "logs"}) {
        EXPECT_EQ(steps.state.at(step), "ok") << step;
    }
    receiver.send(SIGTERM);
    EXPECT_EQ(receiver.wait(), 0);
    EXPECT_EQ(
        receiver.out(),
        "received 2 spans in 2 traces (0 broken), 2 metric points, 2 log records in "
        "6 requests\n");
}

TEST(WeftDoctor, ReadsTheVariablesOfAProgram) {
    Server server(answer(200));
    ChildProgram program(
        {"/usr/bin/env", "-i", "OTEL_EXPORTER_OTLP_ENDPOINT=" + server.url(),
         "OTEL_EXPORTER_OTLP_HEADERS=x-key=secret", WEFT_PROGRAM, "doctor"});
    EXPECT_EQ(program.wait(), 0) << program.out();
    EXPECT_THAT(
        program.out(), AllOf(HasSubstr("1 header of yours was sent"), Not(HasSubstr("secret"))));
    for (const auto& request : (*server).requests()) {
        EXPECT_EQ(request.header("x-key"), "secret");
    }
    EXPECT_EQ((*server).request_count(), 3u);
}

TEST(WeftDoctor, NamesAVariableThatIsWrong) {
    Server server(answer(200));
    ChildProgram program(
        {"/usr/bin/env", "-i", "OTEL_EXPORTER_OTLP_TIMEOUT=soon", WEFT_PROGRAM, "doctor",
         "--endpoint", server.url()});
    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.out(), HasSubstr("OTEL_EXPORTER_OTLP_TIMEOUT"));
}

TEST(WeftDoctor, SaysThatNothingListens) {
    std::uint16_t port = 0;
    asio::io_context io;
    const LoopbackServer refusing(io.get_executor(), LoopbackServer::Start::refusing);
    port = refusing.port();
    const auto steps = examine({"--endpoint", local(port)});
    EXPECT_EQ(steps.state.at("resolve"), "ok");
    EXPECT_EQ(steps.state.at("connect"), "failed");
    EXPECT_THAT(steps.says.at("connect"), HasSubstr("refused"));
    EXPECT_THAT(steps.remedy.at("connect"), HasSubstr("start the collector"));
    EXPECT_EQ(steps.state.at("traces"), "skipped");
}

TEST(WeftDoctor, SaysThatANameIsUnknown) {
    const auto steps = examine({"--endpoint", "http://no-such-host.invalid:4318"});
    EXPECT_EQ(steps.state.at("resolve"), "failed");
    EXPECT_THAT(steps.says.at("resolve"), HasSubstr("no-such-host.invalid"));
    EXPECT_EQ(steps.state.at("connect"), "skipped");
}

TEST(WeftDoctor, AsksForCredentialsThatAreMissing) {
    Server server(answer(401));
    const auto steps = examine({"--endpoint", server.url()});
    EXPECT_EQ(steps.state.at("connect"), "ok");
    EXPECT_EQ(steps.state.at("auth"), "failed");
    EXPECT_THAT(steps.remedy.at("auth"), HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"));
    EXPECT_EQ(steps.state.at("traces"), "failed");
}

TEST(WeftDoctor, SaysThatThePathIsWrong) {
    Server server(answer(404));
    const auto steps = examine({"--endpoint", server.url() + "/otlp"});
    EXPECT_EQ(steps.state.at("auth"), "ok");
    EXPECT_EQ(steps.state.at("traces"), "failed");
    EXPECT_THAT(steps.remedy.at("traces"), HasSubstr("/otlp/v1/traces"));
    EXPECT_THAT(steps.remedy.at("logs"), HasSubstr("/otlp/v1/logs"));
}

TEST(WeftDoctor, SaysThatTheAnswerIsNotOtlp) {
    Server server(answer(200, {{"Content-Type", "text/html"}}, "<html>welcome</html>"));
    const auto steps = examine({"--endpoint", server.url()});
    EXPECT_EQ(steps.state.at("traces"), "failed");
    EXPECT_THAT(steps.says.at("traces"), HasSubstr("not OTLP"));
    EXPECT_THAT(steps.remedy.at("traces"), HasSubstr("4318"));
}

TEST(WeftDoctor, SaysThatTheServerIsNotHttpOrHangsUp) {
    Server garbage(testing::raw("\x15\x03\x01 this is not HTTP\r\n\r\n"));
    EXPECT_THAT(examine({"--endpoint", garbage.url()}).remedy.at("traces"), HasSubstr("https"));
    Server leaves(testing::hang_up());
    EXPECT_THAT(examine({"--endpoint", leaves.url()}).remedy.at("traces"), HasSubstr("https"));
}

TEST(WeftDoctor, DoesNotWaitForEverForAServerThatHangs) {
    Server server(testing::silence());
    const auto steps = examine({"--endpoint", server.url(), "--timeout", "1"});
    EXPECT_EQ(steps.state.at("connect"), "ok");
    for (const auto* step : {"traces", "metrics", "logs"}) {
        EXPECT_EQ(steps.state.at(step), "failed");
        EXPECT_THAT(steps.says.at(step), HasSubstr("timed out"));
    }
    (*server).close_connections();
}

TEST(WeftDoctor, TellsABusyCollectorFromABrokenOne) {
    Server busy(answer(503, {{"Retry-After", "3600"}}));
    const auto steps = examine({"--endpoint", busy.url()});
    EXPECT_EQ(steps.state.at("traces"), "failed");
    EXPECT_THAT(steps.remedy.at("traces"), HasSubstr("too much to do"));
    Server gateway(answer(502));
    EXPECT_THAT(
        examine({"--endpoint", gateway.url()}).remedy.at("traces"), HasSubstr("a proxy answers"));
    Server moved(answer(301, {{"Location", "https://elsewhere"}}));
    EXPECT_THAT(examine({"--endpoint", moved.url()}).remedy.at("traces"), HasSubstr("https"));
}

TEST(WeftDoctor, RefusesOptionsThatCannotBeAndKeepsAHeadersValueToItself) {
    const auto url = run({"doctor", "--endpoint", "localhost:4318"});
    EXPECT_EQ(url.status, 2);
    EXPECT_THAT(url.err, HasSubstr("--endpoint is 'localhost:4318' and must be an absolute http"));
    const auto header = run({"doctor", "--header", "bad name=hunter2"});
    EXPECT_EQ(header.status, 2);
    EXPECT_THAT(header.err, AllOf(HasSubstr("--header must be"), Not(HasSubstr("hunter2"))));
    EXPECT_EQ(run({"doctor", "--timeout", "0"}).status, 2);
    EXPECT_EQ(run({"doctor", "--help"}).status, 0);
}

TEST(WeftTune, MeasuresAReceiverAndProposesWhatOptionsTake) {
    ChildProgram receiver(
        {WEFT_PROGRAM, "receive", "--port", "0", "--quiet", "--max-traces", "10"});
    const auto port = receiver.port();
    ASSERT_NE(port, 0);

    const auto said = run({"tune", "--endpoint", local(port), "--seconds", "2", "--json"});

    ASSERT_EQ(said.status, 0) << said.err;
    Json json(said.out);
    const auto proposed = json["proposed"];
    const auto in = [&](const char* field, std::int64_t low, std::int64_t high) {
        const auto value = proposed[field].get_int64().value();
        EXPECT_GE(value, low) << field;
        EXPECT_LE(value, high) << field;
    };
    in("records_max", 128, 8192);
    in("queue_bytes", 4 << 20, 256 << 20);
    in("connections", 1, 8);
    in("timeout_ms", 10'000, 120'000);
    EXPECT_EQ(json["by_compression"].get_array().size(), 3u);
    for (const auto cell : json["by_compression"].get_array()) {
        EXPECT_GT(cell["spans_per_second"].get_double().value(), 0);
        EXPECT_EQ(cell["problem"].get_string().value(), "");
    }
    EXPECT_THAT(said.out, HasSubstr("\"OTEL_BSP_MAX_EXPORT_BATCH_SIZE\": \""));
}

TEST(WeftTune, ShowsItsMeasurementsAsText) {
    Server server(answer(200));
    const auto said = run({"tune", "--endpoint", server.url(), "--seconds", "1"});
    EXPECT_EQ(said.status, 0) << said.err;
    EXPECT_THAT(
        said.out,
        AllOf(
            HasSubstr("round trip with one span"), HasSubstr("zstd"),
            HasSubstr("batch.records_max = "), HasSubstr("\n  OTEL_EXPORTER_OTLP_COMPRESSION=")));
}

TEST(WeftTune, GivesUpOnACollectorThatTakesNothingAndSaysWhoKnowsMore) {
    Server server(answer(404));
    const auto said = run({"tune", "--endpoint", server.url(), "--seconds", "5"});
    EXPECT_EQ(said.status, 1);
    EXPECT_EQ(said.out, "");
    EXPECT_THAT(said.err, AllOf(HasSubstr("http_404"), HasSubstr("weft doctor")));
}

} // namespace
} // namespace weft
