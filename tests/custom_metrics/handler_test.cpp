// Who may post, what a request must be, and that it is taken whole or not at all.
#include "handler_fixture.hpp"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace weft;
using CustomMetricsHandlers = weft::testing::CustomMetrics;

constexpr std::string_view one = R"({"name": "a", "type": "gauge", "value": 1})";

TEST_F(CustomMetricsHandlers, LetInWhoHasACredential) {
    auto both = options();
    both.authorization.user = "ann";
    both.authorization.password = "secret";
    start(both);
    struct Case {
        std::string_view header;
        unsigned status;
    };
    for (const auto& each :
         {Case{"Bearer token", 200}, Case{"bearer token", 200}, Case{"Basic YW5uOnNlY3JldA==", 200},
          Case{"", 401}, Case{"Bearer", 401}, Case{"Bearer Token", 401}, Case{"Bearer token2", 401},
          Case{"token", 401}, Case{"Basic dG9rZW4=", 401}, Case{"Basic YW5uOm90aGVy", 401},
          Case{"Basic Ym9iOnNlY3JldA==", 401}, Case{"Digest token", 401}}) {
        auto asked = request(one);
        asked.authorization = each.header;
        EXPECT_EQ(ask(asked).status, each.status) << each.header;
    }
    EXPECT_EQ(handler->stats().accepted, 3u);
    EXPECT_EQ(handler->stats().unauthorized, 9u);
}

TEST_F(CustomMetricsHandlers, SayNothingToAStrangerButWhichSchemeTheyWant) {
    // Whatever else is wrong: the answer is the same.
    for (const auto& method : {"POST", "GET"}) {
        for (const auto& body : {std::string(one), std::string("{"), std::string(2u << 20, ' ')}) {
            for (const auto& type : {"application/json", "text/plain"}) {
                auto asked = request(body);
                asked.method = method;
                asked.content_type = type;
                asked.authorization = "Bearer guess";
                const auto answer = ask(asked);
                EXPECT_EQ(answer.status, 401u);
                EXPECT_EQ(answer.www_authenticate, "Bearer realm=\"metrics\"");
                EXPECT_EQ(answer.allow, "");
                EXPECT_EQ(answer.body, "{\"error\": {\"reason\": \"unauthorized\"}}\n");
            }
        }
    }
}

TEST_F(CustomMetricsHandlers, LetEverybodyInOnlyWhenToldTo) {
    auto open = options();
    open.authorization = {};
    open.allow_unauthenticated = true;
    start(open);
    auto asked = request(one);
    asked.authorization = {};
    EXPECT_EQ(ask(asked).status, 200u);
}

TEST_F(CustomMetricsHandlers, TakeOnlyPost) {
    for (const auto* const method : {"GET", "PUT", "HEAD", "post", ""}) {
        auto asked = request(one);
        asked.method = method;
        const auto answer = ask(asked);
        EXPECT_EQ(answer.status, 405u) << method;
        EXPECT_EQ(answer.allow, "POST");
    }
}

TEST_F(CustomMetricsHandlers, TakeOnlyJsonAsItIs) {
    const auto status = [&](std::string_view type, std::string_view encoding) {
        auto asked = request(one);
        asked.content_type = type;
        asked.content_encoding = encoding;
        return ask(asked).status;
    };
    EXPECT_EQ(status("application/json", ""), 200u);
    EXPECT_EQ(status("Application/JSON ; charset=utf-8", "identity"), 200u);
    EXPECT_EQ(status("", ""), 415u);
    EXPECT_EQ(
        status("application/x-www-form-urlencoded", ""), 415u); // What curl -d says by itself.
    EXPECT_EQ(status("application/jsonp", ""), 415u);
    EXPECT_EQ(status("text/json", ""), 415u);
    EXPECT_EQ(status("application/json", "gzip"), 415u);
}

TEST_F(CustomMetricsHandlers, AnswerUnavailableWhereNobodyTakesMeasurements) {
    auto nobody = options();
    nobody.meter = Meter("nobody").bound_to(nullptr);
    start(nobody);
    const auto answer = post(one);
    EXPECT_EQ(answer.status, 503u);
    EXPECT_EQ(answer.retry_after, "1");
    EXPECT_EQ(handler->stats().unavailable, 1u);
    EXPECT_EQ(handler->stats().items, 0u);
}

TEST_F(CustomMetricsHandlers, KeepTheTypeOfANameThatTheyKnow) {
    EXPECT_EQ(post(R"({"name": "a", "type": "gauge", "value": 1, "unit": "By"})").status, 200u);
    EXPECT_EQ(
        outline(post(R"({"name": "a", "type": "counter", "value": 1})")),
        "409 0 type: a is of type gauge, not counter");
    EXPECT_EQ( // In any letter case, as instruments are.
        outline(post(R"({"name": "A", "type": "updowncounter", "value": 1})")),
        "409 0 type: A is of type gauge, not updowncounter");
    EXPECT_EQ(
        outline(post(R"({"name": "a", "type": "gauge", "value": 1, "unit": "s"})")),
        "409 0 unit: a has the unit \"By\", not \"s\"");
    EXPECT_EQ(post(R"({"name": "a", "type": "gauge", "value": 2, "unit": "By"})").status, 200u);
    EXPECT_EQ(
        post(R"({"name": "A", "type": "gauge", "value": 3, "description": "other"})").status, 200u);
    EXPECT_EQ(collect().value("a"), 3);
    EXPECT_EQ(handler->stats().names, 1u);
}

TEST_F(CustomMetricsHandlers, SeeAConflictWithinARequest) {
    EXPECT_EQ(
        outline(post(R"([{"name": "a", "type": "gauge", "value": 1},
                         {"name": "A", "type": "histogram", "value": 1}])")),
        "409 1 type: A is of type gauge, not histogram");
    EXPECT_EQ(
        outline(post(R"([{"name": "a", "type": "gauge", "value": 1},
                         {"name": "a", "type": "gauge", "value": 1, "unit": "s"}])")),
        "409 1 unit: a has the unit \"\", not \"s\"");
    EXPECT_EQ(handler->stats().names, 0u);
}

TEST_F(CustomMetricsHandlers, TakeARequestWholeOrNotAtAll) {
    EXPECT_EQ(post(R"({"name": "known", "type": "counter", "value": 1})").status, 200u);
    for (const auto* const last :
         {R"({"name": "bad"})", R"({"name": "known", "type": "gauge", "value": 1})",
          R"({"name": "c", "type": "counter", "value": -1})",
          R"({"name": "c", "type": "counter", "value": 1, "labels": {"x": null}})", "7"}) {
        const std::string body =
            R"([{"name": "known", "type": "counter", "value": 1},
                {"name": "fresh", "type": "counter", "value": 1},)" +
            std::string(last) + "]";
        const auto answer = post(body);
        EXPECT_GE(answer.status, 400u);
        EXPECT_TRUE(outline(answer).substr(4).starts_with("2 ")) << outline(answer);
    }
    const auto collected = collect();
    EXPECT_EQ(collected.value("known"), 1);
    EXPECT_EQ(collected.points.size(), 1u);
    EXPECT_EQ(handler->stats().names, 1u);
    EXPECT_EQ(handler->stats().items, 1u);
}

TEST_F(CustomMetricsHandlers, AddUpWhatManyThreadsPost) {
    auto fast = options();
    fast.requests_per_second = 1e6;
    fast.burst = 1'000'000;
    start(fast);
    constexpr int threads_count = 4;
    constexpr int each = 200;
    std::atomic<int> accepted{0};
    std::atomic<int> conflicts{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < threads_count; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
                const auto name = "n" + std::to_string(i % 20);
                // One thread disagrees about the types; whoever is first with a name is right.
                const std::string type = t == 0 && i % 2 == 0 ? "updowncounter" : "counter";
                const std::string body =
                    R"([{"name": ")" + name + R"(", "type": ")" + type +
                    R"(", "value": 1}, {"name": "all", "type": "counter", "value": 1}])";
                const auto answer = handler->handle(request(body));
                if (answer.status == 200) {
                    ++accepted;
                } else if (answer.status == 409) {
                    ++conflicts;
                }
                if (i % 50 == 0) { (void)handler->stats(); }
            }
        });
    }
    for (auto& thread : threads) { thread.join(); }
    EXPECT_EQ(accepted + conflicts, threads_count * each);
    const auto collected = collect();
    EXPECT_EQ(collected.value("all"), accepted.load());
    double sum = 0;
    for (const auto& point : collected.points) { sum += point.name == "all" ? 0 : point.value; }
    EXPECT_EQ(sum, accepted.load());
    EXPECT_EQ(handler->stats().accepted, static_cast<std::uint64_t>(accepted.load()));
    EXPECT_EQ(handler->stats().names, 21u);
}

} // namespace
