// What the items of a request may be, and what is said of those that are not.
#include "handler_fixture.hpp"

#include <string>
#include <string_view>

namespace {

using namespace weft;
using CustomMetricsItems = weft::testing::CustomMetrics;

TEST_F(CustomMetricsItems, BecomeMeasurementsOfEveryType) {
    const auto answer = post(R"([
        {"name": "jobs.done", "type": "counter", "value": 3, "labels": {"host": "db1"},
         "unit": "{job}", "description": "Jobs done."},
        {"name": "jobs.done", "type": "counter", "value": 0.5, "labels": {"host": "db1"}},
        {"name": "queue.depth", "type": "gauge", "value": -7.25},
        {"name": "job.time", "type": "histogram", "value": 12, "labels": {"ok": true, "n": 4, "x": 0.5}},
        {"name": "job.time", "type": "histogram", "value": 30, "labels": {"x": 0.5, "n": 4, "ok": true}},
        {"name": "workers", "type": "updowncounter", "value": -2}])");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.body, "{\"accepted\": 6}\n");
    const auto collected = collect();
    EXPECT_EQ(collected.value("jobs.done", "host=db1"), 3.5);
    EXPECT_EQ(collected.value("queue.depth"), -7.25);
    EXPECT_EQ(collected.value("workers"), -2);
    const auto done = collected.find("jobs.done", "host=db1");
    ASSERT_TRUE(done);
    EXPECT_EQ(done->unit, "{job}");
    EXPECT_EQ(done->description, "Jobs done.");
    EXPECT_EQ(done->meter, meter_name);
    EXPECT_EQ(done->kind, MetricKind::sum);
    EXPECT_TRUE(done->is_monotonic);
    const auto time = collected.find("job.time", "n=4,ok=true,x=0.5");
    ASSERT_TRUE(time);
    EXPECT_EQ(time->kind, MetricKind::histogram);
    EXPECT_EQ(time->count, 2u);
    EXPECT_EQ(time->value, 42);
    EXPECT_EQ(collected.find("queue.depth")->kind, MetricKind::gauge);
    EXPECT_FALSE(collected.find("workers")->is_monotonic);
}

TEST_F(CustomMetricsItems, MayBeOneObjectOrNone) {
    EXPECT_EQ(post(R"({"name": "a", "type": "gauge", "value": 1})").status, 200u);
    EXPECT_EQ(collect().value("a"), 1);
    EXPECT_EQ(post("[]").body, "{\"accepted\": 0}\n");
}

TEST_F(CustomMetricsItems, BelongToTheMeterWeftCustomUnlessAnotherIsNamed) {
    EXPECT_EQ(CustomMetricsOptions().meter.name(), "weft.custom");
}

TEST_F(CustomMetricsItems, GetThePrefix) {
    auto with_prefix = options();
    with_prefix.prefix = "scripts.";
    start(with_prefix);
    EXPECT_EQ(post(R"({"name": "a", "type": "gauge", "value": 1})").status, 200u);
    // A name need not be one by itself.
    EXPECT_EQ(post(R"({"name": "1", "type": "gauge", "value": 2})").status, 200u);
    EXPECT_EQ(collect().value("scripts.a"), 1);
    EXPECT_EQ(collect().value("scripts.1"), 2);
}

TEST_F(CustomMetricsItems, DecodeEscapesAndKeepUtf8) {
    EXPECT_EQ(
        post(
            R"({"name": "a\u002eb", "type": "gauge", "value": 1, "labels": {"k\u00e9": "\u65e5\n"}})")
            .status,
        200u);
    EXPECT_EQ(collect().value("a.b", "k\xc3\xa9=\xe6\x97\xa5\n"), 1);
}

// "name", "type" and "value" that are all right, and what is put behind them.
std::string item(std::string_view more) {
    return R"({"name": "a", "type": "gauge", "value": 1, )" + std::string(more) + "}";
}

struct Refused {
    std::string body;
    std::string_view expected; // The beginning of outline().
};

TEST_F(CustomMetricsItems, AreRefusedByIndexFieldAndReason) {
    const std::string long_key(129, 'k');
    const std::string long_name(256, 'n');
    const Refused cases[] = {
        // Not JSON, or not ours.
        {"", "400 - -: the body is empty"},
        {" \n", "400 - -: the body is empty"},
        {"{", "400 - -: the body is not JSON: "},
        {"[{}", "400 - -: the body is not JSON: "},
        {"[] []", "400 - -: the body is not JSON: "},
        {"\xff", "400 - -: the body is not JSON: "},
        {"{\"name\": \"\xff\"}", "400 - -: the body is not JSON: "},
        {item("\"labels\": {\"k\": 1e999}"), "400 - -: the body is not JSON: "},
        {std::string(64, '[') + std::string(64, ']'), "400 - -: the body is not JSON: "},
        {"7", "400 - -: the body is a number: it is to be an object or an array of them"},
        {"null", "400 - -: the body is null"},
        {"\"text\"", "400 - -: the body is a text"},
        {"[7]", "400 0 -: it is a number, not an object"},
        {"[[]]", "400 0 -: it is an array, not an object"},
        // Fields.
        {"{}", "400 0 name: it is missing"},
        {R"({"name": "a", "value": 1})", "400 0 type: it is missing"},
        {R"({"name": "a", "type": "gauge"})", "400 0 value: it is missing"},
        {item(R"("labls": {})"), "400 0 labls: there is no such field: allowed are name, "},
        {item(R"("name": "b")"), "400 0 name: it is there twice"},
        {item(R"("unit": "s", "unit": "s")"), "400 0 unit: it is there twice"},
        // Name.
        {R"({"name": 7, "type": "gauge", "value": 1})", "400 0 name: it is a number, not a text"},
        {R"({"name": "", "type": "gauge", "value": 1})", "400 0 name: it is empty"},
        {R"({"name": "1a", "type": "gauge", "value": 1})", "400 0 name: it begins with '1'"},
        {R"({"name": "a b", "type": "gauge", "value": 1})", "400 0 name: it has ' ' at 1"},
        {R"({"name": "a\u0000", "type": "gauge", "value": 1})", "400 0 name: it has ' ' at 1"},
        {R"({"name": ")" + long_name + R"(", "type": "gauge", "value": 1})",
         "400 0 name: it has 256 bytes: allowed are 255"},
        // Type.
        {R"({"name": "a", "type": "Gauge", "value": 1})",
         "400 0 type: it is \"Gauge\": allowed are"},
        {R"({"name": "a", "type": "", "value": 1})", "400 0 type: it is \"\""},
        {R"({"name": "a", "type": null, "value": 1})", "400 0 type: it is null, not a text"},
        // Value.
        {R"({"name": "a", "type": "gauge", "value": "1"})",
         "400 0 value: it is a text, not a number"},
        {R"({"name": "a", "type": "gauge", "value": true})", "400 0 value: it is a boolean"},
        {R"({"name": "a", "type": "gauge", "value": null})", "400 0 value: it is null"},
        {R"({"name": "a", "type": "gauge", "value": [1]})", "400 0 value: it is an array"},
        {R"({"name": "a", "type": "counter", "value": -1})",
         "400 0 value: it is -1: a counter takes"},
        {R"({"name": "a", "type": "histogram", "value": -0.5})",
         "400 0 value: it is -0.5: a histogram takes 0 or more"},
        // Labels.
        {item(R"("labels": [])"), "400 0 labels: it is an array, not an object"},
        {item(R"("labels": {"": "x"})"), "400 0 labels.: its name is empty"},
        {item(R"("labels": {"user": {}})"),
         "400 0 labels.user: it is an object: allowed are texts"},
        {item(R"("labels": {"user": null})"), "400 0 labels.user: it is null"},
        {item(R"("labels": {"u": 1, "u": 1})"), "400 0 labels.u: it is there twice"},
        {item(R"("labels": {"q\"\u0007": null})"), "400 0 labels.q\" : it is null"},
        {item("\"labels\": {\"" + long_key + "\": 1}"), "400 0 labels.kkkk"},
        {item("\"labels\": {\"user\": \"" + std::string(257, 'v') + "\"}"),
         "400 0 labels.user: it has 257 bytes: allowed are 256"},
        // Unit and description.
        {item(R"("unit": 1)"), "400 0 unit: it is a number, not a text"},
        {item("\"unit\": \"" + std::string(64, 'u') + "\""), "400 0 unit: it has 64 bytes"},
        {item(R"("unit": "µs")"), "400 0 unit: it is not printable ASCII"},
        {item(R"("unit": "s\n")"), "400 0 unit: it is not printable ASCII"},
        {item("\"description\": \"" + std::string(1025, 'd') + "\""),
         "400 0 description: it has 1025 bytes: allowed are 1024"},
        {item(R"("timestamp": "now")"), "400 0 timestamp: it is a text, not a number"},
    };
    for (const auto& each : cases) {
        const auto answer = post(each.body);
        EXPECT_TRUE(outline(answer).starts_with(each.expected))
            << each.body << "\n  " << outline(answer);
    }
    EXPECT_TRUE(collect().points.empty());
    EXPECT_EQ(handler->stats().refused, std::size(cases));
    EXPECT_EQ(handler->stats().names, 0u);
}

TEST_F(CustomMetricsItems, NameTheFirstFaultByItsIndex) {
    const auto answer = post(R"([{"name": "a", "type": "gauge", "value": 1},
                                 {"name": "b", "type": "gauge", "value": 1},
                                 {"name": "c", "type": "gauge", "value": 1, "labels": {"user": []}},
                                 {"name": "d"}])");
    EXPECT_TRUE(outline(answer).starts_with("400 2 labels.user: it is an array"))
        << outline(answer);
}

TEST_F(CustomMetricsItems, MayBeALittleOldButNotStaleOrOfTheFuture) {
    const std::int64_t now = (steady_now_ns() + wall_offset_ns()) / 1'000'000'000;
    const auto status = [&](const std::string& timestamp) {
        return outline(post(item("\"timestamp\": " + timestamp))).substr(0, 15);
    };
    EXPECT_EQ(status(std::to_string(now)), "200 no error");
    EXPECT_EQ(status(std::to_string(now) + ".5"), "200 no error");
    EXPECT_EQ(status(std::to_string(now - 600)), "200 no error");
    EXPECT_EQ(status(std::to_string(now + 60)), "200 no error");
    for (const auto& timestamp :
         {std::to_string(now - 601), std::to_string(now + 61), std::to_string(now * 1000),
          std::string("0"), std::string("-1"), std::string("1e300"), std::string("-1e300")}) {
        EXPECT_EQ(status(timestamp), "400 0 timestamp") << timestamp;
    }
    clock.advance(std::chrono::seconds(2));
    EXPECT_EQ(status(std::to_string(now - 599)), "400 0 timestamp");
    EXPECT_EQ(status(std::to_string(now + 62)), "200 no error");
}

} // namespace
