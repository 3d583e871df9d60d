#include "decoded.hpp"

#include <weft/signals/resource.hpp>

#include <gtest/gtest.h>

namespace weft::testing {
namespace {

TEST(Resource, HoldsOneOfKeysThatBecomeEqualByRepair) {
    Resource resource;
    resource.set("key\xff", "first").set("key\xfe", "second").set("key\uFFFD", "third");
    EXPECT_EQ(messages(resource.encoded(), 1).size(), 1U);
    EXPECT_EQ(resource.text("key\uFFFD"), "third");
}

} // namespace
} // namespace weft::testing
