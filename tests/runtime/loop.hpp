#pragma once
// Coroutines in tests: run them to their end, with a limit, and compare what the context counted.

#include <weft/runtime/context.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/runtime/spawn.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <ostream>
#include <thread>
#include <utility>
#include <vector>

namespace weft {

inline bool operator==(const ContextFaults& a, const ContextFaults& b) noexcept {
    return a.ended_out_of_order == b.ended_out_of_order && a.ended_elsewhere == b.ended_elsewhere &&
           a.shared_concurrently == b.shared_concurrently;
}
inline std::ostream& operator<<(std::ostream& out, const ContextFaults& faults) {
    return out << "{out of order " << faults.ended_out_of_order << ", elsewhere "
               << faults.ended_elsewhere << ", shared " << faults.shared_concurrently << "}";
}

namespace testing {

inline constexpr asio::use_awaitable_t<Executor> use_task{};

/// Long enough for a busy machine under a sanitizer; no test waits for it unless it fails.
inline constexpr std::chrono::seconds patience{60};

/// Runs until nothing is left to do.
inline void run(asio::io_context& io) {
    io.restart();
    io.run_for(patience);
    EXPECT_TRUE(io.stopped()) << "something still waits";
}

/// As above, on several threads.
inline void run_on_threads(asio::io_context& io, int count) {
    io.restart();
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back([&io] { io.run_for(patience); });
    }
    for (auto& thread : threads) { thread.join(); }
    EXPECT_TRUE(io.stopped()) << "something still waits";
}

/// For co_spawn: an exception that nobody expects fails the test.
struct FailOnException {
    void operator()(const std::exception_ptr& error) const {
        try {
            if (error) { std::rethrow_exception(error); }
        } catch (const std::exception& e) { ADD_FAILURE() << "a coroutine threw: " << e.what(); }
    }
    template <class T>
    void operator()(const std::exception_ptr& error, T&&) const {
        (*this)(error);
    }
};
inline constexpr FailOnException fail_on_exception{};

/// Runs `work` as a chain on a fresh io_context to its end.
template <class Work>
void run_chain(Work work) {
    asio::io_context io(1);
    weft::co_spawn(io, std::move(work), fail_on_exception);
    run(io);
}

/// Lets everything else that is ready run once.
inline Task<void> yield(int times = 1) {
    for (int i = 0; i < times; ++i) { co_await asio::post(use_task); }
}

/// What weft::co_spawn exists to prevent: a second coroutine in the context of `executor`. asio::co_spawn refuses the type,
/// so it is called as weft calls it.
template <class Ex, class Work>
void share_slot(const Ex& executor, Work work) {
    asio::co_spawn(detail::for_asio(executor), std::move(work), asio::detached);
}

/// What was counted since this was made.
class FaultsSince {
public:
    [[nodiscard]] ContextFaults operator()() const noexcept {
        const auto now = context_faults();
        return {
            now.ended_out_of_order - start_.ended_out_of_order,
            now.ended_elsewhere - start_.ended_elsewhere,
            now.shared_concurrently - start_.shared_concurrently};
    }

private:
    ContextFaults start_ = context_faults();
};

/// A fixture for tests of legitimate use: nothing may have been counted when the test is over.
class WithoutFaults : public ::testing::Test {
protected:
    void TearDown() override {
        EXPECT_EQ(faults(), ContextFaults{}) << "counted in legitimate use";
    }
    FaultsSince faults;
};

/// Threads of a test meet here. Returns false when the others did not come in time.
class Rendezvous {
public:
    explicit Rendezvous(int parties) : missing_(parties) {}
    bool arrive_and_wait() {
        missing_.fetch_sub(1, std::memory_order_acq_rel); // Everything before is seen by all after.
        const auto end = std::chrono::steady_clock::now() + patience;
        while (missing_.load(std::memory_order_acquire) > 0) { // As above.
            if (std::chrono::steady_clock::now() > end) { return false; }
            std::this_thread::yield();
        }
        return true;
    }

private:
    std::atomic<int> missing_; // Written and read by every party.
};

} // namespace testing
} // namespace weft
