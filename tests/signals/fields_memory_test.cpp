#include "failing_new.hpp"

#include <weft/signals/fields.hpp>

#include <gtest/gtest.h>

#include <string>

// Without memory the context stays as it was, whichever allocation fails.

namespace weft {
namespace {

using testing::FailingNew;

inline constexpr ContextKey<std::string> note_key("note");

std::size_t count_fields() {
    std::size_t count = 0;
    current_fields().for_each([&](std::string_view, std::span<const std::byte>) { ++count; });
    return count;
}

TEST(FieldsWithoutMemory, AreAsTheyWere) {
    const auto around = with_request_fields({{"a", 1}});
    bool set = false;
    int failures = 0;
    for (; !set && failures < 20; ++failures) { // Bound: more than any path allocates.
        FailingNew failing(failures);
        {
            const auto scope = with_fields({{"a long enough key", "and a long enough value"}});
            failing.disarm();
            set = count_fields() == 2;
            EXPECT_TRUE(set || count_fields() == 1);
        }
        EXPECT_EQ(count_fields(), 1u);
    }
    EXPECT_TRUE(set);
    EXPECT_GT(failures, 2) << "the test means several allocations";
}

TEST(FieldsWithoutMemory, OfARequestAreAsTheyWere) {
    bool set = false;
    int failures = 0;
    for (; !set && failures < 20; ++failures) { // Bound: as above.
        FailingNew failing(failures);
        const auto scope = with_request_fields({{"a long enough key", "and a long enough value"}});
        failing.disarm();
        set = count_fields() == 1;
        EXPECT_EQ(add_field("late", 1), set);
    }
    EXPECT_TRUE(set);
    EXPECT_GT(failures, 2);
}

TEST(ContextKeyWithoutMemory, HasNoValue) {
    bool set = false;
    int failures = 0;
    for (; !set && failures < 20; ++failures) { // Bound: as above.
        std::string note(100, 'x');
        FailingNew failing(failures);
        const auto scope = with(note_key, std::move(note));
        failing.disarm();
        set = current(note_key) != nullptr;
    }
    EXPECT_TRUE(set);
    EXPECT_GT(failures, 2);
    EXPECT_EQ(current(note_key), nullptr);
}

} // namespace
} // namespace weft
