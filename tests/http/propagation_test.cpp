// What server and client do with the formats of propagation: which are read, which are written, what stays alone.
#include "span_fixture.hpp"

#include <weft/propagation/faults.hpp>
#include <weft/propagation/propagators.hpp>
#include <weft/runtime/with.hpp>

#include <gmock/gmock.h>

#include <algorithm>

namespace weft::http::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::string_view trace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view span_id = "b7ad6b7169203331";
const std::string traceparent = "00-" + std::string(trace) + "-" + std::string(span_id) + "-01";
const std::string b3_debug = std::string(trace) + "-" + std::string(span_id) + "-d";

class PropagationTest : public SpanTest {
protected:
    ~PropagationTest() override { set_default_propagators({}); }

    /// A server that answers by asking another one with `client`, which notes all it is sent.
    void start_chain(ServerOptions in, ClientOptions out) {
        last.emplace(loop.context(), ServerOptions{.traced = false});
        last->get("/", [this](Request& request) { return note(request); });
        server.emplace(loop.context(), std::move(in));
        client.emplace(loop.context(), std::move(out));
        server->get("/", [this](Request& request) { return pass_on(request); });
    }
    Task<Response> note(Request& request) {
        for (const auto& [name, value] : request.headers()) {
            if (name != "Host" && name != "User-Agent") { sent.emplace_back(name, value); }
        }
        co_return Response();
    }
    Task<Response> pass_on(Request&) {
        ClientRequest request("GET", "http://127.0.0.1:" + std::to_string(last->port()) + "/");
        for (const auto& [name, value] : copied) { request.set_header(name, value); }
        const auto answer = co_await client->request(std::move(request));
        co_return Response(answer ? answer->status() : 500);
    }
    std::string sent_value(std::string_view name) const {
        std::string found = "(absent)";
        for (const auto& [key, value] : sent) {
            if (key == name) { found = found == "(absent)" ? value : "(repeated)"; }
        }
        return found;
    }

    std::vector<std::pair<std::string, std::string>> copied; // By the handler, into its request.
    std::vector<std::pair<std::string, std::string>> sent;   // To the last server.
    std::optional<Client> client;
    std::optional<Server> last;
};

TEST_F(PropagationTest, ReadsAndWritesTheFormatsOfTheOptions) {
    start_chain(
        {.propagators = Propagators{Propagator::b3}},
        {.propagators = Propagators{Propagator::b3multi, Propagator::xray}});
    EXPECT_EQ(
        ask(get_request(
            "/", "X-B3-TraceId: " + std::string(trace) +
                     "\r\nX-B3-SpanId: " + std::string(span_id) + "\r\nX-B3-Sampled: 1\r\n")),
        "200");
    const auto seen = spans(2);
    EXPECT_EQ(seen[1].trace.to_hex(), trace);
    EXPECT_EQ(seen[1].parent.to_hex(), span_id);
    EXPECT_EQ(sent_value("X-B3-TraceId"), trace);
    EXPECT_EQ(sent_value("X-B3-SpanId"), seen[0].id.to_hex());
    EXPECT_EQ(sent_value("X-B3-Sampled"), "1");
    EXPECT_THAT(sent_value("X-Amzn-Trace-Id"), HasSubstr(";Sampled=1"));
    EXPECT_EQ(sent.size(), 4U);
}

TEST_F(PropagationTest, ReadsAndWritesTheProcessesFormatsWhereNoneAreGiven) {
    start_chain({}, {});
    set_default_propagators({Propagator::jaeger});
    EXPECT_EQ(
        ask(get_request(
            "/", "traceparent: " + traceparent + "\r\nuber-trace-id: abc:" + std::string(span_id) +
                     ":0:1\r\n")),
        "200");
    const auto seen = spans(2);
    EXPECT_EQ(seen[1].trace.to_hex(), std::string(29, '0') + "abc");
    EXPECT_EQ(
        sent_value("uber-trace-id"), seen[0].trace.to_hex() + ":" + seen[0].id.to_hex() + ":0:1");
    EXPECT_EQ(sent.size(), 1U);
}

TEST_F(PropagationTest, ReadsAndWritesNothingWithNone) {
    start_chain({.propagators = Propagators::none()}, {.propagators = Propagators::none()});
    EXPECT_EQ(ask(get_request("/", "traceparent: " + traceparent + "\r\n")), "200");
    EXPECT_FALSE(spans(2)[1].parent.is_valid());
    EXPECT_THAT(sent, IsEmpty());
}

// OpenTelemetry Propagators API, "B3 Extract": debug is remembered and sent on.
TEST_F(PropagationTest, RemembersDebugFromTheRequestThatCameToTheOneThatGoes) {
    start_chain(
        {.propagators = Propagators{Propagator::b3}},
        {.propagators = Propagators{Propagator::b3, Propagator::jaeger}});
    EXPECT_EQ(ask(get_request("/", "b3: " + b3_debug + "\r\n")), "200");
    const auto sender = spans(2)[0].id.to_hex();
    EXPECT_EQ(sent_value("b3"), std::string(trace) + "-" + sender + "-d");
    EXPECT_EQ(sent_value("uber-trace-id"), std::string(trace) + ":" + sender + ":0:3");
}

TEST_F(PropagationTest, StartsANewTraceForABadHeaderAndCountsIt) {
    start();
    auto before = propagation_faults();
    ask(get_request("/orders/7", "traceparent: bad\r\ntracestate: foo=1\r\n"));
    ask(get_request(
        "/orders/7", "traceparent: " + traceparent + "\r\ntraceparent: " + traceparent + "\r\n"));
    for (const auto& seen : spans(2)) {
        EXPECT_FALSE(seen.parent.is_valid());
        EXPECT_NE(seen.trace.to_hex(), trace);
        EXPECT_EQ(seen.trace_state, "");
    }
    EXPECT_EQ(propagation_faults().traceparent, before.traceparent + 2);
    EXPECT_EQ(propagation_faults().tracestate, before.tracestate);

    ask(get_request("/orders/7", "traceparent: " + traceparent + "\r\ntracestate: foo=\r\n"));
    EXPECT_EQ(span().trace.to_hex(), trace);
    EXPECT_EQ(propagation_faults().tracestate, before.tracestate + 1);
}

TEST_F(PropagationTest, ReplacesWhatAHandlerCopiedAndLeavesTheRest) {
    start_chain(
        {}, {.propagators =
                 Propagators{Propagator::tracecontext, Propagator::baggage, Propagator::b3multi}});
    copied = {
        {"TraceParent", traceparent},
        {"tracestate", "foo=1"},
        {"x-b3-parentspanid", std::string(span_id)},
        {"x-b3-flags", "1"},
        {"b3", "kept"},
        {"baggage", "kept=1"},
        {"x-mine", "kept"}};
    EXPECT_EQ(ask(get_request("/")), "200");
    EXPECT_EQ(
        sent_value("traceparent"),
        "00-" + sent_value("X-B3-TraceId") + "-" + sent_value("X-B3-SpanId") + "-03");
    EXPECT_EQ(sent_value("b3"), "kept");
    EXPECT_EQ(sent_value("baggage"), "kept=1");
    EXPECT_EQ(sent_value("x-mine"), "kept");
    EXPECT_EQ(sent.size(), 7U) << "one traceparent, three of B3, three that were kept";
}

// OpenTelemetry Baggage API, "Propagation"; W3C Baggage.
TEST_F(PropagationTest, BaggageIsCurrentInTheHandlerAndGoesOnWithWhatTheHandlerAdds) {
    start_chain({}, {});
    std::string seen;
    server->get("/baggage", [&](Request& request) -> Task<Response> {
        seen = std::string(current_baggage().get("tenant").value_or("none"));
        const auto more = with(current_baggage().set("step", "2"));
        co_return co_await pass_on(request);
    });
    EXPECT_EQ(ask(get_request("/baggage", "baggage: tenant=a%20b\r\n")), "200");
    EXPECT_EQ(seen, "a b");
    EXPECT_THAT(
        sent_value("baggage"), ::testing::AnyOf("tenant=a%20b,step=2", "step=2,tenant=a%20b"));
}

TEST_F(PropagationTest, BaggageEndsWithItsRequestOnAConnectionThatIsKept) {
    start({});
    std::vector<bool> empty;
    server->get("/empty", [&](Request&) -> Task<Response> {
        empty.push_back(current_baggage().empty());
        co_return Response();
    });
    auto socket = RawSocket::connect(server->port());
    for (const auto* header : {"baggage: a=1\r\n", ""}) {
        EXPECT_TRUE(socket.send(get_request("/empty", header)));
        EXPECT_EQ(socket.receive().status, 200);
    }
    EXPECT_EQ(empty, (std::vector<bool>{false, true}));
}

TEST_F(PropagationTest, ACallDoesNotOutliveTheDeadlineOfItsChain) {
    start_chain({}, {});
    std::vector<std::error_code> ended;
    last->get("/never", [](Request&) -> Task<Response> {
        asio::steady_timer timer(
            co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
        co_return Response();
    });
    server->get("/hurry", [&](Request&) -> Task<Response> {
        const auto url = "http://127.0.0.1:" + std::to_string(last->port()) + "/never";
        for (const auto left : {std::chrono::milliseconds(-1), std::chrono::milliseconds(80)}) {
            const auto hurry = with(Deadline::in(left));
            const auto answer = co_await client->request(ClientRequest("GET", url));
            ended.push_back(answer ? std::error_code() : std::error_code(answer.error()));
        }
        co_return Response();
    });
    EXPECT_EQ(ask(get_request("/hurry")), "200");
    EXPECT_EQ(
        ended, (std::vector<std::error_code>{
                   std::error_code(make_error_code(Errc::timed_out)),
                   std::error_code(make_error_code(Errc::timed_out))}));
}

// Where the sender asks the receiver to decide, the receiver's own sampler does.
TEST_F(PropagationTest, DecidesItselfAboutAnUndecidedTrace) {
    start({.propagators = Propagators{Propagator::b3}});
    ask(get_request(
        "/orders/7", "b3: " + std::string(trace) + "-" + std::string(span_id) + "\r\n"));
    EXPECT_EQ(span().trace.to_hex(), trace);
    ask(get_request(
        "/orders/7", "b3: " + std::string(trace) + "-" + std::string(span_id) + "-0\r\n"));
    EXPECT_EQ(spans_in_the_end(), 0U);
}

} // namespace
} // namespace weft::http::testing
