// The program itself, as a user starts it: `weft receive`.
#include "child_program.hpp"
#include "compress.hpp"

#include <weft/testing/otlp_traces.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace weft {
namespace {

using testing::ChildProgram;
using ::testing::EndsWith;
using testing::exchange_http;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> weft_command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), WEFT_PROGRAM);
    return arguments;
}

std::string post(
    std::uint16_t port, std::string_view path, std::string_view body,
    std::string_view headers = "Content-Type: application/x-protobuf\r\n") {
    std::ostringstream request;
    request << "POST " << path
            << " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: "
            << body.size() << "\r\n"
            << headers << "\r\n"
            << body;
    return exchange_http(port, request.str());
}

std::string get(std::uint16_t port, std::string_view path) {
    std::ostringstream request;
    request << "GET " << path << " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    return exchange_http(port, request.str());
}

std::string shop_trace(std::uint64_t trace = 1) {
    testing::TraceRequest request;
    testing::add_span(request, "gateway", {.trace = trace, .span = 1, .name = "GET /checkout"});
    testing::add_span(
        request, "orders", {.trace = trace, .span = 2, .parent = 1, .name = "GET /orders"});
    return request.SerializeAsString();
}

// A file of this test alone, removed at the end.
class TemporaryFile {
public:
    TemporaryFile() {
        std::string name = std::filesystem::temp_directory_path() / "weft_receive_XXXXXX";
        close(mkstemp(name.data()));
        path_ = name;
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        out << std::ifstream(path_).rdbuf();
        return out.str();
    }

private:
    std::string path_;
};

TEST(WeftReceive, AnswersCountsAndEndsWithASummaryOnSigterm) {
    const TemporaryFile file;
    ChildProgram program(
        weft_command({"receive", "--port", "0", "--quiet", "--json=" + file.path()}));
    const auto port = program.port();
    ASSERT_NE(port, 0) << program.err();

    const std::string accepted = post(port, "/v1/traces", shop_trace());
    EXPECT_THAT(accepted, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(accepted, HasSubstr("application/x-protobuf"));
    EXPECT_THAT(
        post(
            port, "/v1/traces", testing::zstd(shop_trace(2)),
            "Content-Type: application/x-protobuf\r\nContent-Encoding: zstd\r\n"),
        StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(post(port, "/v1/logs", "{}", "Content-Type: application/json\r\n"), EndsWith("{}"));
    EXPECT_THAT(
        post(port, "/v1/logs", "x", "Content-Type: application/json\r\n"),
        StartsWith("HTTP/1.1 400"));
    EXPECT_THAT(get(port, "/v1/traces"), StartsWith("HTTP/1.1 405"));
    EXPECT_THAT(get(port, "/"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(
        get(port, "/_counts"),
        HasSubstr(R"({"received":{"spans":4,"traces":2,"broken_traces":0,)"));
    EXPECT_THAT(get(port, "/_trace?slowest=1"), HasSubstr("─ orders: GET /orders [internal]\n"));
    program.send(SIGTERM);

    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_EQ(
        program.out(), "received 4 spans in 2 traces (0 broken), 0 metric points, 0 log records in "
                       "4 requests; 1 request refused\n");
    EXPECT_THAT(
        file.text(),
        StartsWith(R"({"received":{"spans":4,"traces":2,"broken_traces":0,"log_records":0,)"));
    EXPECT_THAT(file.text(), HasSubstr(R"("duplicate_spans":0,"requests":4,)"));
}

TEST(WeftReceive, RefusesInTheRequestsEncodingWhatTheServerDoesNotLetThrough) {
    ChildProgram program(weft_command({"receive", "--port", "0", "--quiet"}));
    const auto port = program.port();
    ASSERT_NE(port, 0) << program.err();
    const std::string too_large = exchange_http(
        port, "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n"
              "Content-Type: application/json\r\n\r\n");
    EXPECT_THAT(too_large, StartsWith("HTTP/1.1 413"));
    EXPECT_THAT(too_large, HasSubstr("application/json"));
    EXPECT_THAT(
        too_large, EndsWith(R"({"code":8,"message":"body is larger than 67108864 bytes"})"));
    const std::string method = exchange_http(
        port, "BREW /v1/logs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
              "Content-Type: application/json\r\n\r\n");
    EXPECT_THAT(method, StartsWith("HTTP/1.1 405"));
    EXPECT_THAT(method, HasSubstr("Allow: POST\r\n"));
    EXPECT_THAT(method, EndsWith(R"({"code":12,"message":"only POST is answered here"})"));
    EXPECT_THAT(get(port, "/_counts"), HasSubstr(R"("requests":1,"refused_requests":1,)"));
    program.send(SIGTERM);
    EXPECT_EQ(program.wait(), 0);
}

TEST(WeftReceive, PrintsAFinishedTraceAsATreeWhileItRuns) {
    ChildProgram program(weft_command({"receive", "--port", "0"}));
    const auto port = program.port();
    ASSERT_NE(port, 0) << program.err();
    post(port, "/v1/traces", shop_trace());

    EXPECT_TRUE(program.wait_for(0, "└─ orders: GET /orders [internal]\n")) << program.out();
    EXPECT_THAT(
        program.out(),
        StartsWith("trace 00000000000000000000000000000001: 2 spans, 2 services, 1.00 ms\n"
                   "      +0 ns    1.00 ms  gateway: GET /checkout [internal]\n"));
    EXPECT_THAT(program.out(), Not(HasSubstr("\x1b"))); // Not a terminal.
    program.send(SIGINT);
    EXPECT_EQ(program.wait(), 0);
}

TEST(WeftReceive, PrintsWhatIsUnfinishedAtTheEnd) {
    ChildProgram program(weft_command({"receive", "--port", "0"}));
    testing::TraceRequest request;
    testing::add_span(request, "orders", {.span = 2, .parent = 1});
    const auto port = program.port();
    ASSERT_NE(port, 0) << program.err();
    post(port, "/v1/traces", request.SerializeAsString());
    program.send(SIGINT);

    EXPECT_EQ(program.wait(), 0);
    EXPECT_THAT(program.out(), HasSubstr("BROKEN: 1 span without a parent"));
    EXPECT_THAT(
        program.out(),
        EndsWith("received 1 span in 1 trace (1 broken), 0 metric points, 0 log records in 1 "
                 "request\n"));
}

// Goal: a full disk behind stdout costs the output, is told in one line and ends in failure; receiving goes on.
TEST(WeftReceive, ReportsThatItsOutputCannotBeWritten) {
    ChildProgram program(
        {"/bin/sh", "-c", "exec \"$0\" receive --port 0 >/dev/full", WEFT_PROGRAM});
    const auto port = program.port();
    ASSERT_NE(port, 0) << program.err();
    testing::TraceRequest request;
    for (std::uint64_t i = 1; i <= 200; ++i) { // More than stdout's buffer holds.
        testing::add_span(
            request, "s", {.span = i, .parent = i - 1, .name = std::string(100, 'n')});
    }
    EXPECT_THAT(post(port, "/v1/traces", request.SerializeAsString()), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get(port, "/_counts"), HasSubstr(R"("spans":200)"));
    program.send(SIGTERM);
    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(
        program.err(),
        EndsWith("weft receive: cannot write to standard output: No space left on device\n"));
}

TEST(WeftReceive, SaysThatAFormOfLedgerIsNone) {
    ChildProgram program(
        {"/bin/sh", "-c", "WEFT_LEDGER=xml exec \"$0\" receive --port 0", WEFT_PROGRAM});
    ASSERT_NE(program.port(), 0) << program.err();
    program.send(SIGTERM);
    EXPECT_EQ(program.wait(), 0);
    EXPECT_THAT(
        program.err(),
        StartsWith(
            "weft receive: WEFT_LEDGER=\"xml\": allowed is json; it counts as unset\nlistening"));
}

TEST(WeftReceive, SaysThatThePortIsTaken) {
    ChildProgram first(weft_command({"receive", "--port", "0"}));
    const auto port = std::to_string(first.port());
    ChildProgram second(weft_command({"receive", "--port", port}));

    EXPECT_EQ(second.wait(), 1);
    EXPECT_EQ(
        second.err(), "weft receive: cannot listen on 127.0.0.1 port " + port +
                          ": Address already in use; choose another with --host and --port\n");
    EXPECT_EQ(second.out(), "");
}

TEST(WeftReceive, SaysThatAnAddressIsNone) {
    ChildProgram program(weft_command({"receive", "--host", "nowhere", "--port", "0"}));
    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.err(), StartsWith("weft receive: cannot listen on nowhere port 0: "));
}

TEST(WeftReceive, SaysAtTheStartThatItCannotWriteTheFile) {
    ChildProgram program(
        weft_command({"receive", "--port", "0", "--json", "/nonexistent/folder/counts.json"}));
    EXPECT_EQ(program.wait(), 1);
    EXPECT_EQ(
        program.err(), "weft receive: cannot write /nonexistent/folder/counts.json; give --json a "
                       "file in a folder that "
                       "exists\n");
}

TEST(WeftProgram, NamesAMistakeAndItsRemedyInOneLine) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> mistakes{
        {{}, "weft: no command given; see 'weft --help'\n"},
        {{"recieve"}, "weft: unknown command 'recieve'; see 'weft --help'\n"},
        {{"--verbose"}, "weft: unknown option '--verbose'; see 'weft --help'\n"},
        {{"receive", "--prot", "1"},
         "weft receive: unknown option '--prot'; see 'weft receive --help'\n"},
        {{"receive", "extra"}, "weft receive: unknown option 'extra'; see 'weft receive --help'\n"},
        {{"receive", "--port", "65536"},
         "weft receive: --port is '65536' and must be a number from 0 to 65535; see 'weft receive "
         "--help'\n"},
        {{"receive", "--port", "80x"},
         "weft receive: --port is '80x' and must be a number from 0 to 65535; see 'weft receive "
         "--help'\n"},
        {{"receive", "--port="},
         "weft receive: --port is '' and must be a number from 0 to 65535; see 'weft receive "
         "--help'\n"},
        {{"receive", "--port"},
         "weft receive: --port needs a value: a number from 0 to 65535; see 'weft receive "
         "--help'\n"},
        {{"receive", "--max-traces", "0"},
         "weft receive: --max-traces is '0' and must be a number from 1 to 10000000; see 'weft "
         "receive --help'\n"},
        {{"receive", "--quiet=yes"},
         "weft receive: --quiet takes no value; see 'weft receive --help'\n"},
    };
    for (const auto& [arguments, line] : mistakes) {
        ChildProgram program(weft_command(arguments));
        EXPECT_EQ(program.wait(), 2) << line;
        EXPECT_EQ(program.err(), line);
        EXPECT_EQ(program.out(), "");
    }
}

TEST(WeftProgram, HelpsOnStdout) {
    ChildProgram all(weft_command({"--help"}));
    EXPECT_EQ(all.wait(), 0);
    EXPECT_THAT(all.out(), HasSubstr("\n  receive "));
    EXPECT_EQ(all.err(), "");
    ChildProgram one(weft_command({"receive", "--port", "0", "--help"}));
    EXPECT_EQ(one.wait(), 0);
    for (const char* option :
         {"--port P", "--host ADDRESS", "--quiet", "--json FILE", "--max-traces N"}) {
        EXPECT_THAT(one.out(), HasSubstr(option));
    }
    ChildProgram version(weft_command({"--version"}));
    EXPECT_EQ(version.wait(), 0);
    EXPECT_THAT(version.out(), StartsWith("weft "));
}

} // namespace
} // namespace weft
