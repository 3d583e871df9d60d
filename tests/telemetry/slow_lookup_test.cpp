#include <weft/weft.hpp>

#include <gtest/gtest.h>
#include <netdb.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

// A name server that does not answer: getaddrinfo hangs and cannot be interrupted, here until the
// test lets it go.

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Gate {
public:
    // Ends by itself after half a minute, so that a failure is a failure and not a hang.
    void pass() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait_for(lock, 30s, [this] { return open_; });
        --waiting_;
        changed_.notify_all();
    }
    [[nodiscard]] bool wait_for_waiting(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 10s, [&] { return waiting_ == count; });
    }
    void set_open(bool open) {
        const std::lock_guard lock(mutex_);
        open_ = open;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
    int waiting_ = 0;
};

Gate& gate() {
    static auto& instance = *new Gate; // A lookup may end after main().
    return instance;
}

Options slow_options() {
    Options options;
    options.metrics_exporter = ExporterKind::none;
    options.otlp.endpoint = "http://slow.invalid:4318";
    options.batch.poll = 1ms;
    options.batch.records_max = 1;
    options.shutdown_timeout = 50ms;
    return options;
}

TEST(SlowLookup, KeepsNoFlushShutdownOrDestructionWaiting) {
    std::optional<Runtime> runtime(std::in_place, slow_options());
    Span("unheard").end();
    ASSERT_TRUE(gate().wait_for_waiting(1)) << "the exporter has looked nothing up";
    const auto began = Clock::now();

    const auto flushed = runtime->flush_blocking(50ms);
    EXPECT_EQ(flushed->pending, 1u);
    const auto stopped = runtime->shutdown_blocking(50ms);
    EXPECT_EQ(stopped->dropped, 1u);
    EXPECT_TRUE(runtime->ledger().is_balanced());
    runtime.reset();

    EXPECT_LT(Clock::now() - began, 5s);
    gate().set_open(true);
    EXPECT_TRUE(gate().wait_for_waiting(0));
    gate().set_open(false);
}

TEST(SlowLookup, DoesNotDelayTheNextRuntime) {
    for (int i = 0; i < 3; ++i) {
        const auto began = Clock::now();
        {
            Runtime runtime(slow_options());
            Span("unheard").end();
            ASSERT_TRUE(gate().wait_for_waiting(i + 1));
        }
        EXPECT_LT(Clock::now() - began, 5s);
    }
    gate().set_open(true);
    EXPECT_TRUE(gate().wait_for_waiting(0));
}

} // namespace
} // namespace weft::testing

// In place of the C library's.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
    weft::testing::gate().pass();
    return EAI_AGAIN;
}
