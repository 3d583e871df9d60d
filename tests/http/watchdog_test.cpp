#include "loop.hpp"
#include "watchdog.hpp"

#include <atomic>
#include <chrono>

namespace weft::http::detail {
namespace {

using http::testing::eventually;
using http::testing::Loop;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Patient final : Watched {
    void on_expired(Phase phase) noexcept override {
        at = Clock::now().time_since_epoch().count();
        seen = phase;
        ++count;
    }
    std::atomic<int> count{0};
    std::atomic<Phase> seen{Phase::resting};
    std::atomic<Clock::rep> at{0};
};

class WatchdogTest : public ::testing::Test {
protected:
    Loop loop;
    std::shared_ptr<Watchdog> watchdog =
        std::make_shared<Watchdog>(loop.context(), milliseconds(32), milliseconds(250));
    Patient patient;

    ~WatchdogTest() override { watchdog->remove(patient); }
};

TEST_F(WatchdogTest, ExpiresWhatTakesTooLongAndNeverEarly) {
    for (int i = 0; i < 5; ++i) {
        Patient late;
        watchdog->add(late);
        const auto begin = Clock::now();
        late.enter(Phase::header, watchdog->expiry(milliseconds(20)));
        EXPECT_TRUE(eventually([&] { return late.count == 1; }));
        EXPECT_GE(Clock::duration(late.at) - begin.time_since_epoch(), milliseconds(20));
        EXPECT_EQ(late.seen, Phase::header);
        EXPECT_TRUE(late.has_expired());
        watchdog->remove(late);
    }
}

TEST_F(WatchdogTest, SharesWhatIsLeftButNotBelowTheFloorNorBeyondTheEnd) {
    const auto in = [&](int ms) { return watchdog->expiry(milliseconds(ms)); };
    const auto now = in(2) - 2; // Nothing is watched, so no tick passes.
    const auto end = now + 80;  // A tick is 2 ms.
    EXPECT_EQ(watchdog->share(end, 8, milliseconds(2)), now + 10) << "an equal share";
    EXPECT_EQ(watchdog->share(end, 8, milliseconds(60)), in(60)) << "the floor";
    EXPECT_EQ(watchdog->share(end, 8, milliseconds(2000)), end);
    EXPECT_EQ(watchdog->share(end, 1, milliseconds(2)), end);
    EXPECT_EQ(watchdog->share(now, 8, milliseconds(60)), now);
    EXPECT_EQ(watchdog->share(never, 8, milliseconds(60)), never);
    EXPECT_FALSE(watchdog->is_over(now + 1));
    EXPECT_TRUE(watchdog->is_over(now));
    EXPECT_FALSE(watchdog->is_over(never));
}

TEST_F(WatchdogTest, ExpiresOncePerLife) {
    watchdog->add(patient);
    patient.enter(Phase::idle, watchdog->expiry(milliseconds(1)));
    ASSERT_TRUE(eventually([&] { return patient.count == 1; }));
    EXPECT_FALSE(patient.enter(Phase::header, watchdog->expiry(milliseconds(1)))) << "too late";
    EXPECT_FALSE(patient.enter(Phase::body, watchdog->expiry(milliseconds(1))))
        << "and it stays so";
    std::this_thread::sleep_for(milliseconds(20)); // Many ticks, in which nothing more may happen.
    EXPECT_EQ(patient.count, 1);
}

TEST_F(WatchdogTest, LeavesAloneWhatIsInTimeOrHasNoLimit) {
    watchdog->add(patient);
    EXPECT_EQ(watchdog->expiry(milliseconds(0)), never);
    patient.enter(Phase::handler, watchdog->expiry(milliseconds(0)));
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(patient.count, 0);
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(patient.enter(Phase::header, watchdog->expiry(milliseconds(60'000))));
        std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_EQ(patient.count, 0);
}

TEST_F(WatchdogTest, LeavesAloneWhatHasBeenRemoved) {
    watchdog->add(patient);
    patient.enter(Phase::idle, watchdog->expiry(milliseconds(4)));
    watchdog->remove(patient);
    watchdog->remove(patient);
    std::this_thread::sleep_for(milliseconds(40));
    EXPECT_EQ(patient.count, 0);
}

TEST_F(WatchdogTest, ExpiresAtOnceWhatIsPicked) {
    Patient idle;
    Patient busy;
    watchdog->add(idle);
    watchdog->add(busy);
    idle.enter(Phase::idle);
    busy.enter(Phase::handler);

    EXPECT_EQ(watchdog->expire_if([](Phase phase) { return phase == Phase::idle; }), 1U);

    EXPECT_EQ(idle.count, 1);
    EXPECT_EQ(busy.count, 0);
    EXPECT_EQ(watchdog->expire_if([](Phase) { return true; }), 1U) << "each only once";
    watchdog->remove(idle);
    watchdog->remove(busy);
}

TEST(WatchdogAlone, DoesNotKeepAnIoContextRunning) {
    asio::io_context context;
    const auto watchdog = std::make_shared<Watchdog>(context, milliseconds(32), milliseconds(250));
    Patient patient;
    watchdog->add(patient);
    watchdog->remove(patient);
    context.run(); // Returns after the tick that was under way.
    EXPECT_EQ(patient.count, 0);
}

// One thread enters phases, another expires them: each expiry is told to exactly one side.
TEST_F(WatchdogTest, TellsEachExpiryToBothSidesOnce) {
    watchdog->add(patient);
    std::atomic<bool> done{false};
    std::thread other([&] {
        while (!done) {
            watchdog->expire_if([](Phase phase) { return phase == Phase::body; });
        }
    });
    int entered = 0;
    while (patient.enter(entered % 2 == 0 ? Phase::header : Phase::body) && entered < 1'000'000) {
        ++entered;
    }
    done = true;
    other.join();
    EXPECT_EQ(patient.count, entered < 1'000'000 ? 1 : 0);
    EXPECT_EQ(patient.has_expired(), patient.count == 1);
}

} // namespace
} // namespace weft::http::detail
