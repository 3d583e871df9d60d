// The checks of the W3C Trace Context test harness (TraceContextTest, AdvancedTest, TraceContext2Test, strict level 2),
// in our own words, against the real program.
#include "../http/loop.hpp"
#include "../http/raw_socket.hpp"
#include "../viewer/child_program.hpp"

#include <weft/http/server.hpp>
#include <weft/runtime/ids.hpp>

#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http::testing {
namespace {

using ::testing::HasSubstr;
using weft::testing::ChildProgram;
using Strings = std::vector<std::string>;

constexpr std::string_view trace = "12345678901234567890123456789012";
constexpr std::string_view parent = "1234567890123456";

std::string traceparent(std::string_view flags = "01", std::string_view version = "00") {
    return std::string(version) + "-" + std::string(trace) + "-" + std::string(parent) + "-" +
           std::string(flags);
}
std::string header(std::string_view name, std::string_view value) {
    return std::string(name) + ": " + std::string(value) + "\r\n";
}

/// The headers of one callback.
struct Seen {
    Strings traceparents;
    Strings tracestates;
    std::string body;

    /// The one valid traceparent, or empty.
    [[nodiscard]] std::string parent_text() const {
        if (traceparents.size() != 1) { return {}; }
        const auto& text = traceparents.front();
        const bool good = text.size() == 55 && text.starts_with("00-") &&
                          TraceId::from_hex(text.substr(3, 32)) &&
                          SpanId::from_hex(text.substr(36, 16));
        return good ? text : std::string();
    }
    [[nodiscard]] std::string trace_id() const {
        return parent_text().empty() ? "(none)" : parent_text().substr(3, 32);
    }
    [[nodiscard]] std::string parent_id() const {
        return parent_text().empty() ? "(none)" : parent_text().substr(36, 16);
    }
    [[nodiscard]] std::string flags() const {
        return parent_text().empty() ? "(none)" : parent_text().substr(53);
    }
    [[nodiscard]] std::string state() const {
        return tracestates.empty()       ? "(none)"
               : tracestates.size() == 1 ? tracestates.front()
                                         : "(several)";
    }
};

/// The program, and the harness's side of the callbacks.
class W3cService : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        // Nobody listens there, and nobody should wait for it at the end.
        setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            ("http://127.0.0.1:" + std::to_string(unused_port())).c_str(), 1);
        setenv("OTEL_BSP_EXPORT_TIMEOUT", "100", 1);
        setenv("OTEL_LOG_LEVEL", "none", 1);
        program.emplace(Strings{WEFT_PROGRAM, "--port", "0"});
        port = program->port();
    }
    static void TearDownTestSuite() { program.reset(); }

    void SetUp() override {
        ASSERT_NE(port, 0);
        harness.emplace(loop.context(), ServerOptions{.traced = false});
        harness->post("/{slot}", [this](Request& request) { return note(request); });
    }

    Task<Response> note(Request& request) {
        Seen call;
        request.headers().for_each_value(
            "traceparent", [&](std::string_view value) { call.traceparents.emplace_back(value); });
        request.headers().for_each_value(
            "tracestate", [&](std::string_view value) { call.tracestates.emplace_back(value); });
        call.body = request.take_body();
        {
            const std::lock_guard lock(mutex);
            calls.push_back(std::move(call));
        }
        co_return Response::json(200, "null");
    }

    /// What `callbacks` calls of one request with these headers brought.
    std::vector<Seen> ask(const std::string& headers, int callbacks = 1) {
        calls.clear();
        std::string body;
        for (int i = 0; i < callbacks; ++i) {
            body += (i > 0 ? ", " : "[") + std::string(R"({"url": "http://127.0.0.1:)") +
                    std::to_string(harness->port()) + "/" + std::to_string(i) +
                    R"(", "arguments": [)" + std::to_string(i) + "]}";
        }
        body += "]";
        auto socket = RawSocket::connect(port);
        EXPECT_TRUE(socket.send(
            "POST /test HTTP/1.1\r\nHost: service\r\nContent-Type: "
            "application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body));
        EXPECT_EQ(socket.receive().status, 200);
        const std::lock_guard lock(mutex);
        EXPECT_EQ(calls.size(), static_cast<std::size_t>(callbacks))
            << "all are done before the answer";
        calls.resize(static_cast<std::size_t>(callbacks));
        return calls;
    }
    Seen ask_once(const std::string& headers) { return ask(headers).front(); }

    void expect_continued(const std::string& headers, std::string_view state = "(none)") {
        const auto seen = ask_once(headers);
        EXPECT_EQ(seen.trace_id(), trace) << headers;
        EXPECT_NE(seen.parent_id(), parent) << headers;
        EXPECT_EQ(seen.state(), state) << headers;
    }
    void expect_restarted(const std::string& headers) {
        const auto seen = ask_once(headers);
        EXPECT_NE(seen.trace_id(), "(none)") << headers;
        EXPECT_NE(seen.trace_id(), trace) << headers;
        EXPECT_EQ(seen.state(), "(none)") << headers;
    }
    /// With a good traceparent.
    void expect_state(const std::string& lines, std::string_view state) {
        expect_continued(header("traceparent", traceparent()) + lines, state);
    }

    static inline std::optional<ChildProgram> program;
    static inline std::uint16_t port = 0;
    Loop loop;
    std::optional<Server> harness;
    std::mutex mutex; // Guards calls.
    std::vector<Seen> calls;
};

TEST_F(W3cService, StartsATraceWithoutHeaders) {
    expect_restarted("");
    expect_restarted(header("tracestate", "foo=1"));
}

TEST_F(W3cService, ContinuesATraceWithANewParentIdAndNoHeaderTwice) {
    expect_continued(header("traceparent", traceparent()));
    expect_continued(header("traceparent", traceparent("00")));
}

TEST_F(W3cService, RestartsForATraceparentThatIsThereTwice) {
    expect_restarted(header("traceparent", traceparent()) + header("traceparent", traceparent()));
    expect_restarted(
        header("traceparent", traceparent()) + header("TraceParent", traceparent()) +
        header("tracestate", "foo=1"));
}

TEST_F(W3cService, KnowsTheNamesInAnyCaseAndNoOthers) {
    for (const auto* name : {"TraceParent", "TrAcEpArEnT", "TRACEPARENT"}) {
        expect_continued(header(name, traceparent()));
    }
    for (const auto* name : {"trace-parent", "trace.parent"}) {
        expect_restarted(header(name, traceparent()));
    }
    for (const auto* name : {"TraceState", "TrAcEsTaTe", "TRACESTATE"}) {
        expect_state(header(name, "foo=1"), "foo=1");
    }
    for (const auto* name : {"trace-state", "trace.state"}) {
        expect_state(header(name, "foo=1"), "(none)");
    }
}

TEST_F(W3cService, HandlesVersionsAsTheSpecificationSays) {
    for (const auto* rest : {"01.", "01-x", "01-", "01-what-the-future-will-be-like"}) {
        expect_restarted(header("traceparent", traceparent(rest)));
    }
    for (const auto* rest : {"01", "01-what-the-future-will-be-like", "01-x"}) {
        expect_continued(header("traceparent", traceparent(rest, "cc")));
    }
    expect_restarted(header("traceparent", traceparent("01.what-the-future-will-be-like", "cc")));
    for (const auto* version : {"ff", ".0", "0.", "0", "000", "0x", "FF"}) {
        expect_restarted(header("traceparent", traceparent("01", version)));
    }
}

TEST_F(W3cService, RestartsForIdsAndFlagsThatBreakTheGrammar) {
    const auto with = [](std::string_view trace_id, std::string_view parent_id,
                         std::string_view flags) {
        return header(
            "traceparent", "00-" + std::string(trace_id) + "-" + std::string(parent_id) + "-" +
                               std::string(flags));
    };
    for (const auto* id :
         {"00000000000000000000000000000000", ".2345678901234567890123456789012",
          "1234567890123456789012345678901.", "123456789012345678901234567890123",
          "1234567890123456789012345678901", "ABCDEF78901234567890123456789012", ""}) {
        expect_restarted(with(id, parent, "01"));
    }
    for (const auto* id :
         {"0000000000000000", ".234567890123456", "123456789012345.", "12345678901234567",
          "123456789012345", "ABCDEF7890123456", ""}) {
        expect_restarted(with(trace, id, "01"));
    }
    for (const auto* flags : {".0", "0.", "0", "001", "0F", ""}) {
        expect_restarted(with(trace, parent, flags));
    }
}

TEST_F(W3cService, StripsTabsAndSpacesAroundATraceparent) {
    for (const auto* blank : {" ", "\t", "\t ", " \t "}) {
        expect_continued(header("traceparent", blank + traceparent() + blank));
    }
}

TEST_F(W3cService, DropsTheStateOfABadTraceparent) {
    expect_restarted(
        header("traceparent", traceparent("01", "ff")) + header("tracestate", "foo=1"));
}

TEST_F(W3cService, JoinsSeveralStatesInOrderBesideEmptyOnes) {
    expect_state(
        header("tracestate", "foo=1,bar=2") + header("tracestate", "rojo=1,congo=2") +
            header("tracestate", "baz=3"),
        "foo=1,bar=2,rojo=1,congo=2,baz=3");
    expect_state(header("tracestate", "foo=1") + header("tracestate", ""), "foo=1");
    expect_state(header("tracestate", "") + header("tracestate", "foo=1"), "foo=1");
    expect_state(header("tracestate", ""), "(none)");
}

TEST_F(W3cService, KeepsOneOfMembersWithTheSameKey) {
    expect_state(header("tracestate", "foo=1,foo=2"), "foo=1");
    expect_state(header("tracestate", "foo=1") + header("tracestate", "foo=1"), "foo=1");
}

TEST_F(W3cService, KeepsEveryAllowedCharacter) {
    const std::string key = "foo-_*/bar@0123456789abcdefghijklmnopqrstuvwxyz";
    std::string value;
    for (char c = 0x20; c <= 0x7e; ++c) {
        if (c != ',' && c != '=') { value += c; }
    }
    for (const auto& member :
         {key + "=" + value, "0" + key + "=" + value, std::string("foo@=1"),
          std::string("foo@@bar=1")}) {
        expect_state(header("tracestate", member), member);
    }
}

TEST_F(W3cService, DropsTheStateForOneBadMember) {
    for (const auto* state :
         {"foo=1,bar=2=3", "@foo=1,bar=2", "foo =1", "FOO=1", "foo.bar=1", "foo=bar=baz",
          "foo=,bar=3", "foo=1,=2", "foo"}) {
        expect_state(header("tracestate", state), "(none)");
    }
}

TEST_F(W3cService, StripsBlanksAroundMembers) {
    expect_state(header("tracestate", "foo=1 \t , \t bar=2, \t baz=3"), "foo=1,bar=2,baz=3");
    expect_state(header("tracestate", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"), "foo=1,bar=2,baz=3");
    expect_state(header("tracestate", " foo=1"), "foo=1");
    expect_state(header("tracestate", "\tfoo=1\t"), "foo=1");
}

TEST_F(W3cService, Keeps32MembersAndDrops33) {
    std::string members;
    for (int i = 0; i < 32; ++i) {
        members += (i > 0 ? ",bar" : "bar") + std::to_string(i) + "=" + std::to_string(i);
    }
    expect_state(header("tracestate", members), members);
    expect_state(header("tracestate", members + ",one=more"), "(none)");
}

TEST_F(W3cService, KeepsKeysOf256CharactersAndDropsTheStateFor257) {
    const std::string longest = std::string(256, 'z') + "=1";
    const std::string tenant = std::string(241, 't') + "@" + std::string(14, 'v') + "=1";
    expect_state(header("tracestate", "foo=1," + longest), "foo=1," + longest);
    expect_state(header("tracestate", tenant), tenant);
    expect_state(header("tracestate", "foo=1,z" + longest), "(none)");
}

TEST_F(W3cService, KeepsValuesOf256CharactersAndDropsTheStateFor257) {
    const std::string longest = "foo=" + std::string(256, 'v');
    expect_state(header("tracestate", longest), longest);
    expect_state(header("tracestate", longest + "v"), "(none)");
}

TEST_F(W3cService, GivesEachOfThreeCallsAParentIdOfItsOwnUnderOneTrace) {
    for (const auto& headers : {header("traceparent", traceparent()), std::string()}) {
        std::set<std::string> traces;
        std::set<std::string> parents{std::string(parent)};
        Strings bodies;
        for (const auto& seen : ask(headers, 3)) {
            traces.insert(seen.trace_id());
            parents.insert(seen.parent_id());
            bodies.push_back(seen.body);
        }
        EXPECT_EQ(traces.size(), 1U);
        EXPECT_EQ(traces.contains(std::string(trace)), !headers.empty());
        EXPECT_EQ(parents.size(), 4U);
        EXPECT_EQ(bodies, (Strings{"[0]", "[1]", "[2]"}));
    }
}

TEST_F(W3cService, KeepsTheRandomFlagAndNoUnknownOne) {
    EXPECT_EQ(ask_once(header("traceparent", traceparent("02"))).flags(), "02");
    EXPECT_EQ(ask_once(header("traceparent", traceparent("00"))).flags(), "00");
    EXPECT_EQ(ask_once(header("traceparent", traceparent("03"))).flags(), "03");
    EXPECT_EQ(ask_once(header("traceparent", traceparent("ff"))).flags(), "03");
    EXPECT_EQ(ask_once("").flags(), "03") << "our ids are random";
}

TEST_F(W3cService, RefusesABodyThatIsNoListOfCalls) {
    for (const std::string body :
         {"", "x", "{}", "[1]", R"([{"url": 1, "arguments": []}])", R"([{"url": "x"}])"}) {
        auto socket = RawSocket::connect(port);
        EXPECT_TRUE(socket.send(
            "POST /test HTTP/1.1\r\nHost: service\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body));
        EXPECT_EQ(socket.receive().status, 400) << body;
    }
    EXPECT_TRUE(ask("", 1).front().parent_text().size() == 55) << "and goes on";
}

TEST(W3cProgram, ExplainsItself) {
    ChildProgram program(Strings{WEFT_PROGRAM, "--help"});
    EXPECT_EQ(program.wait(), 0);
    EXPECT_THAT(program.out(), HasSubstr("--port"));
    EXPECT_EQ(program.err(), "");
}

TEST(W3cProgram, RefusesABadPort) {
    ChildProgram program(Strings{WEFT_PROGRAM, "--port", "70000"});
    EXPECT_EQ(program.wait(), 2);
    EXPECT_THAT(program.err(), HasSubstr("--port is 70000: allowed is 0 to 65535"));
}

TEST(W3cProgram, StopsCleanlyOnASignal) {
    for (const int signal : {SIGINT, SIGTERM}) {
        ChildProgram program(Strings{WEFT_PROGRAM, "--port", "0"});
        ASSERT_NE(program.port(), 0);
        program.send(signal);
        EXPECT_EQ(program.wait(), 0);
    }
}

} // namespace
} // namespace weft::http::testing
