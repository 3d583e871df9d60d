// The program itself, as a user starts it: `weft replay`, against `weft receive`.
#include "child_program.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace weft {
namespace {

using testing::ChildProgram;
using ::testing::HasSubstr;
using ::testing::Not;

// As a Collector's file exporter writes them: enums by number, ids in hex, a key that nobody knows.
constexpr const char* traces =
    R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},)"
    R"("scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",)"
    R"("spanId":"0102030405060708","name":"GET /","kind":2,"startTimeUnixNano":"1764225001000000000",)"
    R"("endTimeUnixNano":"1764225001000000500","status":{},"newKey":1}]}]}]})";
constexpr const char* metrics =
    R"({"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"c","sum":{)"
    R"("aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"startTimeUnixNano":"1764225001000000000",)"
    R"("timeUnixNano":"1764225001000000500","asInt":"3"}]}}]}]}]})";
constexpr const char* logs =
    R"({"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1764225001000000000",)"
    R"("severityNumber":9,"body":{"stringValue":"hello"}}]}]}]})";

class WeftReplay : public ::testing::Test {
protected:
    WeftReplay() {
        std::string name = std::filesystem::temp_directory_path() / "weft_replay_XXXXXX";
        close(mkstemp(name.data()));
        path = name;
    }
    ~WeftReplay() override { std::filesystem::remove(path); }
    void write(const std::vector<std::string>& lines) const {
        std::ofstream file(path, std::ios::trunc);
        for (const auto& line : lines) { file << line << '\n'; }
    }
    [[nodiscard]] std::vector<std::string> command(const std::string& to) const {
        return {WEFT_PROGRAM, "replay", path, "--to", to, "--retry=0"};
    }

    std::string path;
};

TEST_F(WeftReplay, SendsEverySignalAndCountsItsRecords) {
    ChildProgram receiver({WEFT_PROGRAM, "receive", "--port", "0", "--quiet"});
    const auto port = receiver.port();
    ASSERT_NE(port, 0);
    write({traces, metrics, "", logs});

    ChildProgram program(command("http://127.0.0.1:" + std::to_string(port)));
    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_THAT(program.out(), HasSubstr(R"("lines": 3, "bad_lines": 0)"));
    EXPECT_THAT(program.out(), HasSubstr(R"("traces": {"created": 1, "exported": 1)"));
    EXPECT_THAT(program.out(), HasSubstr(R"("metrics": {"created": 1, "exported": 1)"));
    EXPECT_THAT(program.out(), HasSubstr(R"("logs": {"created": 1, "exported": 1)"));

    receiver.send(SIGTERM);
    EXPECT_EQ(receiver.wait(), 0);
    EXPECT_THAT(receiver.out(), HasSubstr("received 1 span in 1 trace (0 broken)"));
}

TEST_F(WeftReplay, NamesBadLinesAndSendsTheOthers) {
    ChildProgram receiver({WEFT_PROGRAM, "receive", "--port", "0", "--quiet"});
    const auto port = receiver.port();
    ASSERT_NE(port, 0);
    write({"{\"resourceSpans\":[{\"sco", traces, "{}", "not json"});

    ChildProgram program(command("http://127.0.0.1:" + std::to_string(port)));
    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.err(), HasSubstr(path + ":1: not a line of OTLP/JSON: "));
    EXPECT_THAT(program.err(), HasSubstr(path + ":3: not a line of OTLP/JSON: it has neither"));
    EXPECT_THAT(program.err(), HasSubstr(path + ":4: "));
    EXPECT_THAT(program.err(), Not(HasSubstr(path + ":2: ")));
    EXPECT_THAT(program.out(), HasSubstr(R"("lines": 1, "bad_lines": 3, "traces": {"created": 1)"));
}

TEST_F(WeftReplay, FailsWhenNobodyTakesTheLines) {
    write({traces});
    ChildProgram program(command("http://127.0.0.1:1"));
    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.err(), HasSubstr(path + ":1: 1 of 1 traces were not accepted"));
    EXPECT_THAT(program.out(), HasSubstr(R"("dropped": {"retry_exhausted": 1})"));
}

TEST_F(WeftReplay, TakesAFolderForAMistake) {
    ChildProgram program({WEFT_PROGRAM, "replay", "/", "--to", "http://127.0.0.1:1"});
    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.err(), HasSubstr("cannot read /: it is a folder"));
}

TEST_F(WeftReplay, SaysWhatIsWrongWithItsArguments) {
    const auto fails = [&](std::vector<std::string> arguments, const char* why) {
        arguments.insert(arguments.begin(), {WEFT_PROGRAM, "replay"});
        ChildProgram program(arguments);
        EXPECT_EQ(program.wait(), 2) << why;
        EXPECT_THAT(program.err(), HasSubstr(why));
    };
    fails({path}, "--to is missing");
    fails({"--to", "http://localhost:4318"}, "no file given");
    fails({path, "--to", "localhost"}, "is 'localhost' and must be an absolute http or https URL");
    fails({path, "--to", "http://me:hush@x"}, "is 'http://***@x' and must be");
    fails({path, "--to=http://x", "--headers", "hush"}, "--headers must be a list");
    fails({path, "--to=http://x", "--retry=soon"}, "must be a number from 0 to 604800");
    ChildProgram missing({WEFT_PROGRAM, "replay", path + ".no", "--to", "http://127.0.0.1:1"});
    EXPECT_EQ(missing.wait(), 1);
    EXPECT_THAT(missing.err(), HasSubstr("cannot read " + path + ".no"));
}

} // namespace
} // namespace weft
