#include <weft/exporters/ledger.hpp>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace weft {
namespace {

google::protobuf::Struct parse(const std::string& json) {
    google::protobuf::Struct object;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok()) << json;
    return object;
}

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
    const auto object = parse(json);
    std::set<std::string> names;
    for (const auto& [name, value] : object.fields()) { names.insert(name); }
    EXPECT_EQ(
        names,
        (std::set<std::string>{
            "created", "exported", "rejected", "dropped", "queued", "in_flight", "spooled"}));
    EXPECT_EQ(object.fields().at("created").number_value(), 21);
    EXPECT_EQ(object.fields().at("exported").number_value(), 1);
    EXPECT_EQ(object.fields().at("rejected").number_value(), 2);
    EXPECT_EQ(object.fields().at("queued").number_value(), 5);
    EXPECT_EQ(object.fields().at("in_flight").number_value(), 6);
    EXPECT_EQ(object.fields().at("spooled").number_value(), 4);
    const auto& dropped = object.fields().at("dropped").struct_value().fields();
    EXPECT_EQ(dropped.size(), 2u);
    EXPECT_EQ(dropped.at("queue_full").number_value(), 1);
    EXPECT_EQ(dropped.at("shutdown").number_value(), 2);
}

TEST(Ledger, OfNothingIsJsonToo) {
    const auto object = parse(Ledger{}.to_json());
    EXPECT_EQ(object.fields().at("created").number_value(), 0);
    EXPECT_TRUE(object.fields().at("dropped").struct_value().fields().empty());
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

} // namespace
} // namespace weft
