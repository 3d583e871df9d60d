#include "spool_fixture.hpp"

#include <weft/exporters/spool_inspection.hpp>

#include <atomic>
#include <thread>

namespace weft {
namespace {

using testing::numbered_batch;
using testing::records_from_to;
using testing::SpoolTest;
using testing::take_all;

class SpoolInspect : public SpoolTest {
protected:
    [[nodiscard]] SpoolInspection inspect() const {
        auto found = inspect_spool(folder / "spool");
        EXPECT_TRUE(found.has_value());
        return std::move(*found);
    }
};

TEST_F(SpoolInspect, CountsWhatWaitsBySignalWhileSomebodyOwnsIt) {
    open();
    append(0, 100);
    for (int i = 0; i < 30; ++i) { spool->acknowledge(spool->next()->id); }
    ASSERT_TRUE(spool->next()); // In flight is not settled.

    const auto found = inspect();

    EXPECT_EQ(found.waiting.batches, 70u);
    EXPECT_EQ(found.waiting.records, records_from_to(30, 100));
    SpoolAmount sum;
    for (const auto& amount : found.waiting_by_signal) {
        sum.batches += amount.batches;
        sum.records += amount.records;
    }
    EXPECT_EQ(sum.batches, 70u);
    EXPECT_EQ(found.waiting_by_signal[static_cast<std::size_t>(Signal::traces)].batches, 24u);
    EXPECT_EQ(sum.records, found.waiting.records);
    EXPECT_EQ(found.owner, ::getpid());
    EXPECT_EQ(found.segments.size(), segments().size());
    EXPECT_EQ(found.lost.batches, 0u);
    EXPECT_EQ(found.corrupt_ranges, 0u);
    EXPECT_TRUE(found.is_cursor_readable);
    EXPECT_GT(found.oldest_ns, 1'600'000'000'000'000'000);
    EXPECT_EQ(take_all(*spool).size(), 69u); // Nothing was touched.
}

TEST_F(SpoolInspect, KnowsNoOwnerOnceThereIsNone) {
    open();
    append(0, 3);
    spool.reset();

    EXPECT_EQ(inspect().owner, 0);
    EXPECT_EQ(inspect().waiting.batches, 3u);
}

TEST_F(SpoolInspect, CountsWhatIsCorruptAsItsNextOwnerWill) {
    open();
    append(0, 300);
    spool.reset();
    auto random = testing::Random::seeded("spool inspection");
    for (int round = 0; round < 20; ++round) {
        for (const auto& path : segments()) {
            if (!random.one_in(3)) { continue; }
            auto bytes = testing::read_file(path);
            bytes[random.below(bytes.size())] ^= 0x40;
            testing::write_file(path, bytes);
        }
    }

    const auto found = inspect();
    open();
    take_all(*spool);

    EXPECT_GT(found.lost.batches, 10u);
    EXPECT_EQ(spool->counts().lost.batches, found.lost.batches);
    EXPECT_EQ(spool->counts().lost.records, found.lost.records);
    EXPECT_EQ(spool->counts().settled.records, found.waiting.records);
    EXPECT_EQ(spool->counts().corrupt_bytes, found.corrupt_bytes);
}

TEST_F(SpoolInspect, SaysSoWhenTheCursorIsNotReadable) {
    open();
    append(0, 3);
    spool.reset();
    testing::write_file(folder / "spool/cursor", "?");

    EXPECT_FALSE(inspect().is_cursor_readable);
    EXPECT_EQ(inspect().waiting.batches, 3u);
}

TEST_F(SpoolInspect, TellsATornEnd) {
    open();
    append(0, 3);
    const auto bytes = testing::read_file(segments().front());
    spool.reset();
    testing::write_file(segments().front(), bytes + std::string(10, 'x'));

    EXPECT_EQ(inspect().torn_bytes, 10u);
    EXPECT_EQ(inspect().corrupt_ranges, 0u);
}

TEST_F(SpoolInspect, FailsWhereThereIsNoDirectory) {
    const auto found = inspect_spool(folder / "nothing");

    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error(), boost::system::errc::no_such_file_or_directory);
}

TEST_F(SpoolInspect, FindsSpoolsInFoldersBelow) {
    for (const char* name : {"b/metrics", "b/traces", "a"}) {
        auto with = options();
        with.directory = folder / name;
        open(with);
    }
    std::filesystem::create_directory(folder / "empty");

    EXPECT_EQ(
        find_spools(folder.path()),
        (std::vector<std::string>{folder / "a", folder / "b/metrics", folder / "b/traces"}));
    EXPECT_EQ(find_spools(folder / "a"), std::vector<std::string>{folder / "a"});
    EXPECT_TRUE(find_spools(folder / "empty").empty());
    EXPECT_TRUE(find_spools(folder / "nothing").empty());
}

// Goal: what an owner does meanwhile is never taken for damage. Method: one thread works, another looks.
TEST_F(SpoolInspect, SeesNoDamageInASpoolAtWork) {
    open();
    std::atomic<bool> is_done{false};
    std::thread owner([&] {
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            if (spool->append(numbered_batch(i)) != Spool::Append::written) { break; }
            if (i < 50) { continue; }
            spool->acknowledge(spool->next()->id);
            spool->sync_if_due(Spool::TimePoint::max());
        }
        is_done.store(true, std::memory_order_relaxed); // A flag: nothing is ordered by it.
    });
    do {
        const auto found = inspect();
        EXPECT_EQ(found.lost.batches, 0u);
        EXPECT_EQ(found.corrupt_ranges, 0u);
        EXPECT_TRUE(found.is_cursor_readable);
    } while (!is_done.load(std::memory_order_relaxed)); // As above.
    owner.join();
    EXPECT_TRUE(spool->counts().is_balanced());
}

} // namespace
} // namespace weft
