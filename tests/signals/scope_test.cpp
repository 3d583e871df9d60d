#include "decoded.hpp"
#include "reference_text.hpp"

#include <weft/signals/scope.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weft::testing {
namespace {

constexpr std::uint32_t name_tag = 1;
constexpr std::uint32_t version_tag = 2;
constexpr std::uint32_t attribute_tag = 3;

// Goal: a whole message whatever the texts are. Method: every length around powers of two, of one to four bytes a code
// point and of bytes that are replaced by three.
TEST(Scope, IsAWholeMessageHoweverLongItsName) {
    for (const std::string_view point : {"x", "é", "€", "😀", "\xff"}) {
        for (const std::size_t near : {127UL, 4096UL, 16'384UL, 65'536UL}) {
            for (std::size_t bytes = near - 12; bytes < near + 3; ++bytes) {
                SCOPED_TRACE(std::string(point) + " " + std::to_string(bytes));
                std::string text;
                while (text.size() + point.size() <= bytes) { text += point; }
                const Attribute attributes[] = {{"key", "value"}};
                const auto index = detail::register_scope(
                    {.name = text, .version = text, .attributes = attributes});
                const std::string message(detail::encoded_scope(index).message);
                for (const auto tag : {name_tag, version_tag}) {
                    const auto found = messages(message, tag);
                    ASSERT_EQ(found.size(), 1U);
                    ASSERT_TRUE(found[0] == reference_text(text, 4096));
                }
                ASSERT_EQ(attributes_of(message, attribute_tag)["key"], "value");
            }
        }
    }
}

} // namespace
} // namespace weft::testing
