// Goal: kill -9 at any moment costs nothing that append() accepted, and nothing settled comes back. Method: a child
// appends, takes and acknowledges as fast as it can, and notes in shared memory what it has been promised; it is killed
// at a random moment, and what the spool then holds is compared. WEFT_SPOOL_KILLS for more than the usual 20 rounds.
#include "spool_fixture.hpp"

#include <weft/testing/forked.hpp>

#include <sys/mman.h>

#include <atomic>

namespace weft {
namespace {

using testing::number_of;
using testing::numbered_batch;
using testing::SpoolTest;

struct Promises {
    std::atomic<std::uint64_t> written{0};
    std::atomic<std::uint64_t> settled{0};
};

class SpoolKill : public SpoolTest {
protected:
    SpoolKill()
        : promises_(new (::mmap(
              nullptr, sizeof(Promises), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                        Promises) {}
    ~SpoolKill() override { ::munmap(promises_, sizeof(Promises)); }

    // Never returns. About as many go as come, in waves, so that segments are begun and deleted all the time.
    [[noreturn]] void work(const SpoolOptions& with, std::uint64_t seed) {
        testing::Random random(seed);
        open(with);
        // seq_cst, here and below: the two are read by another process once this one is dead.
        std::uint64_t written = promises_->written.load(std::memory_order_seq_cst);
        std::uint64_t settled = promises_->settled.load(std::memory_order_seq_cst); // As above.
        const auto take = [&] {
            const auto entry = spool->next();
            if (!entry) { return; }
            if (number_of(*entry->batch) != settled) { _exit(3); }
            spool->acknowledge(entry->id);
            promises_->settled.store(++settled, std::memory_order_seq_cst); // As above.
        };
        for (;;) {
            for (auto i = random.below(100); i > 0; --i) {
                if (spool->append(numbered_batch(written)) != Spool::Append::written) { break; }
                promises_->written.store(++written, std::memory_order_seq_cst); // As above.
                spool->sync_if_due();
            }
            for (auto i = random.below(100); i > 0; --i) { take(); }
        }
    }

    void kill_at_random_moments(const SpoolOptions& with, int rounds) {
        auto random = testing::Random::seeded("spool kill");
        for (int round = 0; round < rounds && !HasFailure(); ++round) {
            SCOPED_TRACE(round);
            {
                testing::Forked child([&, seed = random.word()] { work(with, seed); });
                const auto delay = std::chrono::microseconds(random.below(20'000));
                std::this_thread::sleep_for(delay); // The random moment.
                ::kill(child.pid(), SIGKILL);
                ASSERT_EQ(child.wait(), "signal 9");
            }
            check(with);
        }
        EXPECT_GT(promises_->settled.load(std::memory_order_seq_cst), 0u); // The child is dead.
    }

    void check(const SpoolOptions& with) {
        open(with);
        EXPECT_EQ(spool->counts().lost.batches, 0u) << lines.text();
        EXPECT_EQ(spool->counts().corrupt_ranges, 0u) << lines.text();
        std::vector<std::uint64_t> numbers;
        while (const auto entry = spool->next()) {
            EXPECT_TRUE(testing::is_intact(*entry->batch));
            numbers.push_back(number_of(*entry->batch));
        }
        // The child is dead. One call may have been done and not noted.
        std::uint64_t written = promises_->written.load(std::memory_order_seq_cst);
        std::uint64_t settled = promises_->settled.load(std::memory_order_seq_cst); // As above.
        if (!numbers.empty() && numbers.front() == settled + 1) { ++settled; }
        if (!numbers.empty() && numbers.back() == written) { ++written; }
        if (numbers.empty() && settled + 1 == written) { ++settled; }
        EXPECT_EQ(numbers, testing::numbers_from_to(settled, written));
        promises_->written.store(written, std::memory_order_seq_cst); // No child lives.
        promises_->settled.store(settled, std::memory_order_seq_cst); // As above.
        spool.reset();
    }

    static int rounds() {
        const char* given = std::getenv("WEFT_SPOOL_KILLS");
        return given != nullptr ? std::atoi(given) : 20;
    }

    Promises* promises_;
};

TEST_F(SpoolKill, AtAnyMomentLosesNothing) { kill_at_random_moments(options(), rounds()); }

TEST_F(SpoolKill, AtAnyMomentLosesNothingThatIsReadFromDisk) {
    auto with = options();
    with.memory_bytes_max = 0;
    with.sync.reset();
    kill_at_random_moments(with, rounds());
}

} // namespace
} // namespace weft
