#include <weft/runtime/error.hpp>
#include <weft/runtime/signal.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace weft {
namespace {

TEST(Errc, EveryValueHasAMessageOfItsOwn) {
    std::set<std::string> messages;
    const int last = static_cast<int>(Errc::wrong_thread);
    for (int code = 1; code <= last; ++code) {
        const auto text = make_error_code(static_cast<Errc>(code)).message();
        EXPECT_NE(text, "unknown") << code;
        EXPECT_TRUE(messages.insert(text).second) << text;
    }
    EXPECT_EQ(error_category().message(last + 1000), "unknown");
}

TEST(Errc, ConvertsToAnErrorCodeOfItsCategory) {
    const boost::system::error_code code = Errc::timed_out;

    EXPECT_TRUE(code.failed());
    EXPECT_STREQ(code.category().name(), "weft");
    EXPECT_EQ(code, Errc::timed_out);
    EXPECT_NE(code, Errc::cancelled);
}

TEST(Signal, HasTheNameOfItsEndpointPath) {
    EXPECT_EQ(name(Signal::traces), "traces");
    EXPECT_EQ(name(Signal::metrics), "metrics");
    EXPECT_EQ(name(Signal::logs), "logs");
    EXPECT_EQ(all_signals.size(), 3U);
}

} // namespace
} // namespace weft
