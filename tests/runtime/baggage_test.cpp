#include "../support/counted_new.hpp"

#include <weft/runtime/baggage.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {
namespace {

using Map = std::map<std::string, std::pair<std::string, std::string>>;

Map all_of(const Baggage& baggage) {
    Map all;
    for (const auto entry : baggage) {
        const bool fresh =
            all.try_emplace(std::string(entry.name), entry.value, entry.metadata).second;
        EXPECT_TRUE(fresh) << entry.name;
    }
    return all;
}

static_assert(sizeof(Baggage) == sizeof(void*));
static_assert(std::is_nothrow_copy_constructible_v<Baggage>);

// OpenTelemetry Baggage API, "Operations".
TEST(Baggage, IsEmptyToBeginWith) {
    const Baggage baggage;
    EXPECT_TRUE(baggage.empty());
    EXPECT_EQ(baggage.size(), 0U);
    EXPECT_EQ(baggage.get("user"), std::nullopt);
    EXPECT_EQ(baggage.begin(), baggage.end());
}

TEST(Baggage, GivesBackWhatWasSet) {
    const auto baggage = Baggage().set("user", "7").set("tier", "gold", "propagate;ttl=3");
    EXPECT_EQ(baggage.get("user"), "7");
    EXPECT_EQ(baggage.find("tier"), (Baggage::Entry{"tier", "gold", "propagate;ttl=3"}));
    EXPECT_EQ(all_of(baggage), (Map{{"user", {"7", ""}}, {"tier", {"gold", "propagate;ttl=3"}}}));
}

TEST(Baggage, NeverChangesAnOlderOne) {
    const auto before = Baggage().set("user", "7");
    const auto copy = before;
    const auto after = before.set("user", "8").set("more", "1");
    const auto less = after.remove("user");
    EXPECT_EQ(before.get("user"), "7");
    EXPECT_EQ(copy, before);
    EXPECT_EQ(before.size(), 1U);
    EXPECT_EQ(after.get("user"), "8");
    EXPECT_EQ(less.get("user"), std::nullopt);
    EXPECT_TRUE(less.clear().empty());
    EXPECT_EQ(less.size(), 1U);
}

TEST(Baggage, ReplacesValueAndMetadataOfAName) {
    const auto baggage = Baggage().set("a", "1", "m").set("b", "2").set("a", "3");
    EXPECT_EQ(all_of(baggage), (Map{{"a", {"3", ""}}, {"b", {"2", ""}}}));
}

TEST(Baggage, TellsCasesApart) {
    const auto baggage = Baggage().set("User", "A").set("user", "a");
    EXPECT_EQ(baggage.get("User"), "A");
    EXPECT_EQ(baggage.get("user"), "a");
    EXPECT_EQ(baggage.get("USER"), std::nullopt);
}

TEST(Baggage, TakesAnyCharactersAndEmptyValues) {
    const std::string name("na\0me, =;%\xc3\xa4", 12);
    const auto baggage = Baggage().set(name, "").set("n", std::string_view("\n\0", 2));
    EXPECT_EQ(baggage.get(name), "");
    EXPECT_EQ(baggage.get("n"), std::string_view("\n\0", 2));
}

TEST(Baggage, RefusesAnEmptyNameAndCountsIt) {
    const auto before = Baggage::refused();
    EXPECT_TRUE(Baggage().set("", "1").empty());
    EXPECT_EQ(Baggage::refused(), before + 1);
}

// W3C Baggage, "Limits".
TEST(Baggage, Holds64EntriesAndRefusesThe65th) {
    Baggage baggage;
    for (int i = 0; i < 64; ++i) { baggage = baggage.set("k" + std::to_string(i), "v"); }
    const auto before = Baggage::refused();
    EXPECT_EQ(baggage.size(), 64U);
    EXPECT_EQ(baggage.set("one more", "v"), baggage);
    EXPECT_EQ(Baggage::refused(), before + 1);
    EXPECT_EQ(baggage.set("k7", "new").get("k7"), "new");
    EXPECT_EQ(Baggage::refused(), before + 1);
}

TEST(Baggage, Holds8192BytesAndRefusesTheNext) {
    const auto full = Baggage().set("a", std::string(8000, 'x')).set("b", std::string(190, 'y'));
    const auto before = Baggage::refused();
    EXPECT_EQ(full.size(), 2U);
    EXPECT_EQ(full.set("c", ""), full);
    EXPECT_EQ(full.set("b", std::string(191, 'z')), full);
    EXPECT_EQ(full.set("b", std::string(190, 'z'), "m"), full);
    EXPECT_EQ(Baggage().set("a", std::string(8192, 'x')), Baggage());
    EXPECT_EQ(Baggage::refused(), before + 4);
    EXPECT_EQ(full.set("b", std::string(190, 'z')).get("b"), std::string(190, 'z'));
    EXPECT_EQ(full.set("a", "").set("b", std::string(8190, 'z')).get("b")->size(), 8190U);
}

TEST(Baggage, IsEqualInAnyOrder) {
    const auto ab = Baggage().set("a", "1").set("b", "2");
    EXPECT_EQ(ab, Baggage().set("b", "2").set("a", "1"));
    EXPECT_NE(ab, Baggage().set("a", "1"));
    EXPECT_NE(ab, Baggage().set("a", "1").set("b", "3"));
    EXPECT_NE(ab, Baggage().set("a", "1").set("c", "2"));
    EXPECT_NE(ab, Baggage().set("a", "1").set("b", "2", "m"));
}

TEST(Baggage, IsCopiedWithoutAnAllocationAndChangedWithOne) {
    const auto baggage = Baggage().set("a", "1");
    auto before = testing::allocations();
    const auto copy = baggage; // NOLINT(performance-unnecessary-copy-initialization)
    const Baggage empty;
    const auto same = baggage.remove("absent");
    EXPECT_EQ(testing::allocations(), before);
    before = testing::allocations();
    const auto changed = baggage.set("b", "2");
    EXPECT_EQ(testing::allocations(), before + 1);
    EXPECT_EQ(copy, same);
    EXPECT_EQ(changed.size(), 2U);
}

TEST(BaggageBuilder, MakesManyChangesForOneAllocation) {
    const auto from = Baggage().set("a", "1").set("b", "2");
    const auto before = testing::allocations();
    BaggageBuilder builder(from);
    EXPECT_TRUE(builder.set("c", "3", "m"));
    EXPECT_TRUE(builder.remove("a"));
    EXPECT_FALSE(builder.remove("a"));
    EXPECT_FALSE(builder.set("", "3"));
    const auto built = builder.build();
    EXPECT_EQ(testing::allocations(), before + 1);
    EXPECT_EQ(all_of(built), (Map{{"b", {"2", ""}}, {"c", {"3", "m"}}}));
    EXPECT_TRUE(BaggageBuilder().build().empty());
}

// Goal: any sequence of changes does what a map does. Method: a model under seeded random changes.
TEST(BaggageBuilder, AgreesWithAMapUnderRandomChanges) {
    auto random = testing::Random::seeded("BaggageBuilder.AgreesWithAMapUnderRandomChanges");
    for (int round = 0; round < 50; ++round) {
        BaggageBuilder builder;
        Map model;
        std::size_t bytes = 0;
        for (int step = 0; step < 300; ++step) {
            const auto name = "n" + std::to_string(random.below(90));
            const auto known = model.find(name);
            const std::size_t freed =
                known == model.end()
                    ? 0
                    : name.size() + known->second.first.size() + known->second.second.size();
            if (random.one_in(4)) {
                ASSERT_EQ(builder.remove(name), known != model.end());
                if (known != model.end()) { model.erase(known); }
                bytes -= freed;
                continue;
            }
            const auto value = random.bytes(random.below(random.one_in(10) ? 3000 : 60));
            const auto metadata = random.bytes(random.below(20));
            const auto sum = bytes - freed + name.size() + value.size() + metadata.size();
            const bool fits = sum <= Baggage::bytes_max &&
                              (known != model.end() || model.size() < Baggage::entries_max);
            ASSERT_EQ(builder.set(name, value, metadata), fits);
            if (fits) {
                model[name] = {value, metadata};
                bytes = sum;
            }
        }
        ASSERT_EQ(all_of(builder.build()), model);
    }
}

} // namespace
} // namespace weft
