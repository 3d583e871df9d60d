#include <weft/exporters/ledger.hpp>
#include <weft/testing/json.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace weft {
namespace {

using testing::Json;

TEST(Ledger, IsBalancedOnlyWhenEveryRecordIsSomewhere) {
    Ledger ledger{
        .created = 28, .exported = 1, .rejected = 2, .queued = 5, .in_flight = 6, .spooled = 7};
    ledger.dropped[static_cast<std::size_t>(DropReason::queue_full)] = 3;
    ledger.dropped[static_cast<std::size_t>(DropReason::internal_error)] = 4;
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.dropped_total(), 7u);

    for (auto* field :
         {&ledger.created, &ledger.exported, &ledger.rejected, &ledger.queued, &ledger.in_flight,
          &ledger.spooled, &ledger.dropped[1]}) {
        ++*field;
        EXPECT_FALSE(ledger.is_balanced());
        --*field;
    }
}

TEST(Ledger, IsOneLineOfJsonWithTheContractsNames) {
    Ledger ledger{
        .created = 21, .exported = 1, .rejected = 2, .queued = 5, .in_flight = 6, .spooled = 4};
    ledger.dropped[static_cast<std::size_t>(DropReason::queue_full)] = 1;
    ledger.dropped[static_cast<std::size_t>(DropReason::shutdown)] = 2;

    const auto json = ledger.to_json();

    EXPECT_EQ(json.find('\n'), std::string::npos);
    const Json object(json);
    std::set<std::string> names;
    for (const auto field : object.object()) { names.emplace(field.key); }
    EXPECT_EQ(
        names,
        (std::set<std::string>{
            "created", "exported", "rejected", "dropped", "queued", "in_flight", "spooled"}));
    EXPECT_EQ(object["created"].get_uint64().value(), 21U);
    EXPECT_EQ(object["exported"].get_uint64().value(), 1U);
    EXPECT_EQ(object["rejected"].get_uint64().value(), 2U);
    EXPECT_EQ(object["queued"].get_uint64().value(), 5U);
    EXPECT_EQ(object["in_flight"].get_uint64().value(), 6U);
    EXPECT_EQ(object["spooled"].get_uint64().value(), 4U);
    const simdjson::dom::object dropped = object["dropped"];
    EXPECT_EQ(dropped.size(), 2u);
    EXPECT_EQ(dropped["queue_full"].get_uint64().value(), 1U);
    EXPECT_EQ(dropped["shutdown"].get_uint64().value(), 2U);
}

TEST(Ledger, OfNothingIsJsonToo) {
    const Json object(Ledger{}.to_json());
    EXPECT_EQ(object["created"].get_uint64().value(), 0U);
    EXPECT_EQ(object["dropped"].get_object().size(), 0U);
}

TEST(DropReason, HasADistinctSnakeCaseNameForEachValue) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < drop_reason_count; ++i) {
        const auto text = name(static_cast<DropReason>(i));
        EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos)
            << text;
        names.insert(text);
    }
    EXPECT_EQ(names.size(), drop_reason_count);
    EXPECT_FALSE(names.contains("unknown"));
    EXPECT_EQ(name(static_cast<DropReason>(drop_reason_count)), "unknown");
}

TEST(Ledger, AReportIsTheDifferenceAndWhatIsStillPending) {
    Ledger before;
    before.exported = 10;
    before.rejected = 1;
    before.dropped[1] = 3;
    before.queued = 50;
    Ledger after = before;
    after.exported += 7;
    after.rejected += 2;
    after.dropped[2] += 4;
    after.queued = 5;
    after.in_flight = 6;

    const auto report = report_since(before, after, true);

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, 7u);
    EXPECT_EQ(report.rejected, 2u);
    EXPECT_EQ(report.dropped, 4u);
    EXPECT_EQ(report.pending, 11u);
    EXPECT_FALSE(report_since(before, after, false).complete);
}

} // namespace
} // namespace weft
