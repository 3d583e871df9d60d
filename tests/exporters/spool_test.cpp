#include "spool_fixture.hpp"

#include <weft/testing/forked.hpp>

#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::files_in;
using testing::is_intact;
using testing::number_of;
using testing::numbered_batch;
using testing::numbers_from_to;
using testing::records_from_to;
using testing::SpoolTest;
using testing::take_all;
using Append = Spool::Append;

TEST_F(SpoolTest, HandsBatchesOutInTheOrderInWhichTheyCame) {
    open();
    append(0, 500);

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 500));
    EXPECT_TRUE(spool->counts().is_balanced());
    EXPECT_EQ(spool->counts().settled.batches, 500u);
    EXPECT_EQ(spool->counts().settled.records, records_from_to(0, 500));
}

TEST_F(SpoolTest, ReadsBackFromDiskWhatItDoesNotHoldInMemory) {
    auto with = options();
    with.memory_bytes_max = 0;
    open(with);
    append(0, 500);

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 500));
    EXPECT_GT(disk.reads, 500u);
}

TEST_F(SpoolTest, ReadsNothingBackForADestinationThatKeepsUp) {
    open();
    const auto reads = disk.reads;
    for (std::uint64_t i = 0; i < 2000; ++i) {
        const auto batch = numbered_batch(i);
        ASSERT_EQ(spool->append(batch), Append::written);
        const auto entry = spool->next();
        ASSERT_TRUE(entry);
        ASSERT_EQ(entry->batch, batch); // The very same.
        spool->acknowledge(entry->id);
        spool->sync_if_due();
    }

    EXPECT_EQ(disk.reads, reads);
}

TEST_F(SpoolTest, IsEmptyWithNothingInIt) {
    open();

    EXPECT_FALSE(spool->next());
    EXPECT_FALSE(spool->sync_due());
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolTest, ResumesInOrderWhatIsNotAcknowledged) {
    open();
    append(0, 100);
    for (int i = 0; i < 40; ++i) { spool->acknowledge(spool->next()->id); }
    for (int i = 0; i < 10; ++i) { ASSERT_TRUE(spool->next()); } // In flight at the end.

    open();

    EXPECT_EQ(spool->counts().resumed.batches, 60u);
    EXPECT_EQ(spool->counts().resumed.records, records_from_to(40, 100));
    EXPECT_EQ(spool->counts().corrupt_ranges, 0u);
    EXPECT_EQ(spool->counts().lost.batches, 0u);
    append(100, 120);
    EXPECT_EQ(take_all(*spool), numbers_from_to(40, 120));
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolTest, ResumesAfterDeathAtAnyMomentWhatIsNotAcknowledged) {
    auto random = testing::Random::seeded("spool death");
    std::uint64_t written = 0;
    std::uint64_t settled = 0;
    open();
    for (int round = 0; round < 50; ++round) {
        const auto steps = random.below(60);
        for (std::size_t i = 0; i < steps; ++i) {
            if (random.one_in(2)) {
                append(written, written + 1);
                ++written;
            } else if (const auto entry = spool->next()) {
                EXPECT_EQ(number_of(*entry->batch), settled++);
                spool->acknowledge(entry->id);
            }
            if (random.one_in(10)) { spool->sync_if_due(Spool::TimePoint::max()); }
        }
        open_after_death();
        EXPECT_EQ(spool->counts().waiting.batches, written - settled);
        EXPECT_EQ(spool->counts().lost.batches, 0u);
        EXPECT_EQ(spool->counts().corrupt_ranges, 0u);
    }

    EXPECT_EQ(take_all(*spool), numbers_from_to(settled, written));
}

TEST_F(SpoolTest, KeepsIdsGrowingOverRestarts) {
    open();
    append(0, 3);
    const auto first = spool->next()->id;
    spool->acknowledge(first);
    take_all(*spool);
    open();
    append(3, 4);

    EXPECT_EQ(spool->next()->id, first + 3);
}

TEST_F(SpoolTest, BeginsAfterDeathWithTheOldestThatWasNotAcknowledged) {
    open();
    append(0, 10);
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 6; ++i) { ids.push_back(spool->next()->id); }
    for (const int i : {5, 0, 3, 1}) { spool->acknowledge(ids[static_cast<std::size_t>(i)]); }

    open_after_death();

    // 3 and 5 were settled before 2 was: they come twice.
    EXPECT_EQ(take_all(*spool), numbers_from_to(2, 10));
}

TEST_F(SpoolTest, IgnoresAnAcknowledgementOfWhatIsNotHandedOut) {
    open();
    append(0, 2);
    const auto id = spool->next()->id;
    spool->acknowledge(id);

    spool->acknowledge(id);
    spool->acknowledge(id + 1);
    spool->acknowledge(0);
    spool->acknowledge(UINT64_MAX);

    EXPECT_EQ(spool->counts().settled.batches, 1u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(1, 2));
}

TEST_F(SpoolTest, HandsOutAgainWhatWasPutBackButNotWhatIsSettled) {
    open();
    append(0, 100);
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 60; ++i) { ids.push_back(spool->next()->id); }
    for (const int i : {0, 1, 7, 30}) { spool->acknowledge(ids[static_cast<std::size_t>(i)]); }

    spool->put_back_all();

    EXPECT_EQ(spool->counts().handed_out.batches, 0u);
    EXPECT_EQ(spool->counts().waiting.batches, 96u);
    EXPECT_TRUE(spool->counts().is_balanced());
    auto expected = numbers_from_to(2, 100);
    std::erase(expected, 7u);
    std::erase(expected, 30u);
    EXPECT_EQ(take_all(*spool), expected);
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolTest, TakesAnAcknowledgementOfWhatWasPutBack) {
    open();
    append(0, 3);
    const auto id = spool->next()->id;
    spool->put_back_all();

    spool->acknowledge(id);

    EXPECT_EQ(take_all(*spool), numbers_from_to(1, 3));
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolTest, DeletesSegmentsOnceAllInThemIsSettled) {
    open();
    append(0, 500);
    EXPECT_GT(segments().size(), 5u);
    take_all(*spool);
    spool->sync_if_due(Spool::TimePoint::max());

    EXPECT_EQ(segments().size(), 1u); // The one that is written to.
    spool.reset();
    EXPECT_EQ(segments().size(), 0u);
    open();
    EXPECT_EQ(spool->counts().lost.batches, 0u);
    EXPECT_EQ(spool->counts().resumed.batches, 0u);
}

TEST_F(SpoolTest, KeepsASegmentWhileOneInItIsInFlight) {
    open();
    append(0, 500);
    const auto first = spool->next()->id;
    const auto all = segments().size();
    take_all(*spool);
    spool->sync_if_due(Spool::TimePoint::max());
    EXPECT_EQ(segments().size(), all);

    spool->acknowledge(first);
    spool->sync_if_due(Spool::TimePoint::max());

    EXPECT_EQ(segments().size(), 1u);
}

TEST_F(SpoolTest, RefusesTheNewestWhenFullAndNeverTakesMoreThanItsSize) {
    open();
    std::uint64_t written = 0;
    while (spool->append(numbered_batch(written)) == Append::written) {
        ++written;
        std::uint64_t blocks = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder / "spool")) {
            struct stat status {};
            ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
            blocks += static_cast<std::uint64_t>(status.st_blocks) * 512;
        }
        ASSERT_LE(blocks, 1u << 20);
        ASSERT_LE(spool->counts().disk_bytes, 1u << 20);
    }

    EXPECT_GT(written, 3000u); // Nine tenths of it are batches.
    EXPECT_EQ(spool->append(numbered_batch(written)), Append::full);
    EXPECT_EQ(lines.count("is full"), 1u);
    EXPECT_EQ(lines.count("SpoolOptions::bytes_max"), 1u);
    EXPECT_TRUE(spool->counts().is_balanced());
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, written));
    EXPECT_EQ(spool->append(numbered_batch(written)), Append::written);
}

TEST_F(SpoolTest, DropsTheOldestSegmentWhenFullIfToldTo) {
    auto with = options();
    with.when_full = WhenFull::drop_oldest;
    open(with);
    append(0, 10000);

    const auto counts = spool->counts();
    EXPECT_TRUE(counts.is_balanced());
    EXPECT_LE(counts.disk_bytes, 1u << 20);
    EXPECT_GT(counts.dropped_full.batches, 0u);
    EXPECT_GT(lines.count("are dropped"), 0u);
    const auto first = counts.dropped_full.batches;
    EXPECT_EQ(counts.dropped_full.records, records_from_to(0, first));
    EXPECT_EQ(take_all(*spool), numbers_from_to(first, 10000));
}

TEST_F(SpoolTest, CountsWhatItDroppedAsDroppedAndNotAsLost) {
    auto with = options();
    with.when_full = WhenFull::drop_oldest;
    open(with);
    append(0, 6000);
    const auto waiting = spool->counts().waiting.batches;

    open_after_death(with);

    EXPECT_EQ(spool->counts().lost.batches, 0u);
    EXPECT_EQ(spool->counts().resumed.batches, waiting);
}

TEST_F(SpoolTest, LeavesBatchesInFlightToTheirSenderWhenItDropsTheOldest) {
    auto with = options();
    with.when_full = WhenFull::drop_oldest;
    open(with);
    append(0, 10);
    const auto sent = spool->next();
    const auto kept = spool->next();
    append(10, 8000);

    EXPECT_EQ(spool->counts().handed_out.batches, 2u);
    EXPECT_TRUE(spool->counts().is_balanced());
    spool->acknowledge(sent->id);
    EXPECT_EQ(spool->counts().settled.batches, 1u);
    const auto dropped = spool->counts().dropped_full.batches;
    spool->put_back_all(); // There is no copy of it to send again.
    EXPECT_EQ(spool->counts().dropped_full.batches, dropped + 1);
    EXPECT_EQ(spool->counts().handed_out.batches, 0u);
    EXPECT_TRUE(spool->counts().is_balanced());
    EXPECT_EQ(take_all(*spool).back(), 7999u);
    EXPECT_TRUE(spool->counts().is_balanced());
    open_after_death(with);
    EXPECT_EQ(spool->counts().lost.batches, 0u);
}

TEST_F(SpoolTest, RefusesABatchThatCannotFitWithoutDroppingAnything) {
    auto with = options();
    with.when_full = WhenFull::drop_oldest;
    open(with);
    append(0, 100);
    auto huge = std::make_shared<Batch>();
    huge->records = 1;
    huge->body = testing::Random(1).bytes(2u << 20);

    EXPECT_EQ(spool->append(huge), Append::full);

    EXPECT_EQ(spool->counts().dropped_full.batches, 0u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 100));
}

TEST_F(SpoolTest, TakesABatchLargerThanASegment) {
    open();
    append(0, 3);
    append(3, 4, 300'000);
    append(4, 6);

    EXPECT_EQ(number_of(*spool->next()->batch), 0u);
    open();
    std::vector<std::uint64_t> numbers;
    while (auto entry = spool->next()) {
        numbers.push_back(number_of(*entry->batch));
        EXPECT_TRUE(is_intact(*entry->batch, numbers.back() == 3 ? 300'000 : 300));
        spool->acknowledge(entry->id);
    }
    EXPECT_EQ(numbers, numbers_from_to(0, 6));
}

TEST_F(SpoolTest, TakesAnEmptyBodyAndOneThatDoesNotCompress) {
    open();
    auto empty = std::make_shared<Batch>();
    auto random = std::make_shared<Batch>();
    random->body = testing::Random(2).bytes(5000);
    random->records = 9;
    ASSERT_EQ(spool->append(empty), Append::written);
    ASSERT_EQ(spool->append(random), Append::written);

    open();

    EXPECT_EQ(spool->next()->batch->body, "");
    EXPECT_EQ(spool->next()->batch->body, random->body);
}

TEST_F(SpoolTest, StoresLessThanItIsGiven) {
    open();
    auto batch = std::make_shared<Batch>();
    batch->records = 1;
    batch->body.assign(500'000, 'x');
    ASSERT_EQ(spool->append(batch), Append::written);

    EXPECT_LT(std::filesystem::file_size(segments().front()), 2000u);
}

TEST_F(SpoolTest, ForcesToDiskOnceTheWindowIsOver) {
    open();
    const auto begin = Spool::TimePoint{} + 1h;
    spool->sync_if_due(Spool::TimePoint::max());
    const auto syncs = disk.syncs;
    ASSERT_EQ(spool->append(numbered_batch(0), begin), Append::written);
    ASSERT_EQ(spool->append(numbered_batch(1), begin + 50ms), Append::written);

    EXPECT_EQ(spool->sync_due(), begin + 100ms);
    spool->sync_if_due(begin + 99ms);
    EXPECT_EQ(disk.syncs, syncs);
    spool->sync_if_due(begin + 100ms);
    EXPECT_EQ(disk.syncs, syncs + 1);
    EXPECT_GE(disk.directory_syncs, 1u); // Or the file itself might be missing.
    EXPECT_FALSE(spool->sync_due());
}

TEST_F(SpoolTest, ForcesEachBatchToDiskBeforeAppendReturnsIfTheWindowIsZero) {
    auto with = options();
    with.sync = 0ms;
    open(with);
    const auto syncs = disk.syncs;

    append(0, 10);

    EXPECT_EQ(disk.syncs, syncs + 10);
    EXPECT_FALSE(spool->sync_due());
    spool->acknowledge(spool->next()->id, Spool::TimePoint{} + 1h);
    EXPECT_EQ(spool->sync_due(), Spool::TimePoint{} + 1h + 100ms);
}

TEST_F(SpoolTest, NeverForcesToDiskWithoutAWindow) {
    auto with = options();
    with.sync.reset();
    open(with);

    append(0, 500);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 500));

    EXPECT_FALSE(spool->sync_due());
    EXPECT_EQ(segments().size(), 1u); // Deleted at once.
    spool.reset();
    EXPECT_EQ(disk.syncs, 0u);
}

TEST_F(SpoolTest, ForcesTheCursorToDiskBeforeItDeletesASegment) {
    open();
    append(0, 500);
    take_all(*spool);
    const auto syncs = disk.syncs;
    disk.sync_error = EIO;
    disk.remove_error = EACCES; // Seen by its report: deleting comes after.
    spool->sync_if_due(Spool::TimePoint::max());

    EXPECT_GT(disk.syncs, syncs);
    const auto text = lines.text();
    EXPECT_LT(text.find("cannot be forced"), text.find("cannot delete"));
}

TEST_F(SpoolTest, GivesFilesToTheirOwnerAlone) {
    const auto umask_before = ::umask(0);
    open();
    append(0, 3);
    spool->acknowledge(spool->next()->id);
    ::umask(umask_before);

    struct stat status {};
    ASSERT_EQ(::stat((folder / "spool").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700u);
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "spool")) {
        ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0600u) << entry.path();
        ++files;
    }
    EXPECT_EQ(files, 3u); // Owner, cursor, segment.
}

TEST_F(SpoolTest, MakesTheParentsOfItsDirectory) {
    auto with = options();
    with.directory = folder / "a/b/c";

    open(with);

    EXPECT_TRUE(std::filesystem::is_directory(with.directory));
}

TEST_F(SpoolTest, RefusesADirectoryThatOthersMayWriteTo) {
    std::filesystem::create_directory(folder / "spool");
    for (const auto more :
         {std::filesystem::perms::others_write, std::filesystem::perms::group_write}) {
        std::filesystem::permissions(folder / "spool", std::filesystem::perms::owner_all | more);
        const auto opened = Spool::open(options(), lines.log());

        ASSERT_FALSE(opened.has_value());
        EXPECT_EQ(opened.error(), boost::system::errc::permission_denied);
    }
    EXPECT_EQ(lines.count("chmod 700"), 2u);
}

TEST_F(SpoolTest, RefusesADirectoryOfAnotherUser) {
    if (::geteuid() != 0) { GTEST_SKIP() << "needs root to give a directory away"; }
    std::filesystem::create_directory(folder / "spool");
    ASSERT_EQ(::chown((folder / "spool").c_str(), 12345, 12345), 0);

    const auto opened = Spool::open(options(), lines.log());

    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error(), boost::system::errc::permission_denied);
    EXPECT_EQ(lines.count("belongs to user 12345"), 1u);
}

TEST_F(SpoolTest, RefusesAPlaceThatIsNoDirectory) {
    testing::write_file(folder / "spool", "a file");

    const auto opened = Spool::open(options(), lines.log());

    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error(), boost::system::errc::not_a_directory);
    EXPECT_EQ(lines.count("SpoolOptions::directory"), 1u);
}

TEST_F(SpoolTest, LeavesLinksAndForeignFilesAlone) {
    const auto outside = folder / "outside";
    testing::write_file(outside, "precious");
    open();
    append(0, 3);
    spool.reset();
    std::filesystem::create_symlink(outside, folder / "spool/0000000000000009-00000000.v1");
    std::filesystem::create_directory(folder / "spool/000000000000000a-00000000.v1");
    testing::write_file(folder / "spool/0000000000000001-00000000.v2", "tomorrow's");
    testing::write_file(folder / "spool/notes.txt", "somebody's");

    open();

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 3));
    append(3, 5);
    EXPECT_EQ(take_all(*spool), numbers_from_to(3, 5));
    spool.reset();
    EXPECT_EQ(testing::read_file(outside), "precious");
    EXPECT_TRUE(std::filesystem::exists(folder / "spool/000000000000000a-00000000.v1"));
    EXPECT_TRUE(std::filesystem::exists(folder / "spool/0000000000000001-00000000.v2"));
    EXPECT_TRUE(std::filesystem::exists(folder / "spool/notes.txt"));
    EXPECT_EQ(lines.count("another version"), 1u);
    EXPECT_EQ(lines.count("stays as it is"), 3u);
}

TEST_F(SpoolTest, IsOfOneOwnerAndNamesIt) {
    open();

    const auto second = Spool::open(options(), lines.log());
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error(), boost::system::errc::device_or_resource_busy);
    EXPECT_EQ(lines.count("in use by this process itself"), 1u);

    testing::Forked other([&] {
        testing::ReportedLines heard;
        const auto third = Spool::open(options(), heard.log());
        EXPECT_FALSE(third.has_value());
        EXPECT_EQ(heard.count(fmt::format("in use by process {}", ::getppid())), 1u);
    });
    EXPECT_EQ(other.wait(), "exit 0");

    spool.reset();
    EXPECT_TRUE(Spool::open(options(), lines.log()).has_value());
}

TEST_F(SpoolTest, IsFreeOnceItsOwnerIsDeadHoweverManyChildrenLive) {
    int pipes[2];
    ASSERT_EQ(::pipe(pipes), 0);
    testing::Forked owner([&] {
        open();
        append(0, 5);
        // Inherits everything, and says so once it has given up what is not a child's.
        testing::Forked child([&] {
            const auto pid = ::getpid();
            if (::write(pipes[1], &pid, sizeof pid) == static_cast<ssize_t>(sizeof pid)) {
                ::pause();
            }
        });
        ::raise(SIGKILL);
    });
    struct Killed {
        pid_t pid = 0;
        ~Killed() {
            if (pid > 0) { ::kill(pid, SIGKILL); }
        }
    } child; // Also where an expectation fails: it would hold the test's output open.
    ASSERT_EQ(
        ::read(pipes[0], &child.pid, sizeof child.pid), static_cast<ssize_t>(sizeof child.pid));
    EXPECT_EQ(owner.wait(), "signal 9");

    open();
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 5));
    ::close(pipes[0]);
    ::close(pipes[1]);
}

TEST_F(SpoolTest, DoesNothingInAForkedChild) {
    open();
    append(0, 5);
    const auto out = spool->next();
    testing::Forked child([&] {
        EXPECT_EQ(spool->append(numbered_batch(5)), Append::failed);
        EXPECT_FALSE(spool->next());
        spool->acknowledge(out->id);
        spool->put_back_all();
        spool->sync_if_due(Spool::TimePoint::max());
        spool.reset();
    });
    EXPECT_EQ(child.wait(), "exit 0");

    append(5, 6);
    spool->put_back_all();
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 6));
}

TEST_F(SpoolTest, NamesTheOptionThatIsOutOfRange) {
    const auto problem = [&](auto change) {
        auto with = options();
        change(with);
        return problem_in(with);
    };
    EXPECT_EQ(problem([](auto&) {}), "");
    EXPECT_NE(problem([](auto& o) { o.directory = ""; }).find("directory"), std::string::npos);
    EXPECT_NE(
        problem([](auto& o) { o.bytes_max = (1u << 20) - 1; }).find("bytes_max is 1048575"),
        std::string::npos);
    EXPECT_NE(
        problem([](auto& o) { o.segment_bytes = (256u << 10) + 1; }).find("16384 to 262144"),
        std::string::npos);
    EXPECT_NE(problem([](auto& o) { o.sync = -1ms; }).find("sync is -1"), std::string::npos);
    EXPECT_NE(
        problem([](auto& o) { o.memory_bytes_max = SIZE_MAX; }).find("memory_bytes_max"),
        std::string::npos);
    auto with = options();
    with.bytes_max = 7;
    const auto opened = Spool::open(with, lines.log());
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error(), Errc::option_out_of_range);
    EXPECT_EQ(lines.count("bytes_max is 7"), 1u);
}

TEST_F(SpoolTest, WorksWithItsSmallestSizeAndDefaultSegments) {
    auto with = options();
    with.segment_bytes = 0;
    open(with);
    std::uint64_t written = 0;
    while (spool->append(numbered_batch(written)) == Append::written) { ++written; }

    open_after_death(with);

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, written));
}

// Goal: what a spool hands out is what a plain queue would. Method: seeded operations on both, restarts included.
TEST_F(SpoolTest, DoesWhatAPlainQueueDoes) {
    auto random = testing::Random::seeded("spool model");
    open();
    std::deque<std::uint64_t> waiting;
    std::map<std::uint64_t, std::uint64_t> out; // By id.
    std::uint64_t written = 0;
    for (int step = 0; step < 4000; ++step) {
        const auto what = random.below(100);
        if (what < 40) {
            append(written, written + 1);
            waiting.push_back(written++);
        } else if (what < 70) {
            const auto entry = spool->next();
            ASSERT_EQ(entry.has_value(), !waiting.empty());
            if (!entry) { continue; }
            ASSERT_EQ(number_of(*entry->batch), waiting.front());
            ASSERT_TRUE(is_intact(*entry->batch));
            waiting.pop_front();
            out.emplace(entry->id, number_of(*entry->batch));
        } else if (what < 95 && !out.empty()) {
            auto one =
                std::next(out.begin(), static_cast<std::ptrdiff_t>(random.below(out.size())));
            spool->acknowledge(one->first);
            out.erase(one);
        } else if (what < 97) {
            spool->put_back_all();
            for (auto one = out.rbegin(); one != out.rend(); ++one) {
                waiting.push_front(one->second);
            }
            out.clear();
        } else if (what < 98) {
            // From the oldest that is not settled on, those included that were settled before their elders.
            std::uint64_t oldest = waiting.empty() ? written : waiting.front();
            for (const auto& [id, number] : out) { oldest = std::min(oldest, number); }
            const auto again = numbers_from_to(oldest, written);
            waiting.assign(again.begin(), again.end());
            out.clear();
            random.one_in(2) ? open() : open_after_death();
        } else {
            spool->sync_if_due(Spool::TimePoint::max());
        }
        const auto counts = spool->counts();
        ASSERT_TRUE(counts.is_balanced()) << step;
        ASSERT_EQ(counts.waiting.batches, waiting.size()) << step;
        ASSERT_EQ(counts.handed_out.batches, out.size()) << step;
    }
}

} // namespace
} // namespace weft
