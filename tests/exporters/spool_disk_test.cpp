// Disks that are full, read-only or broken: the spool goes on, says so once, and works again when the disk does.
#include "spool_fixture.hpp"

#include <weft/testing/forked.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::numbered_batch;
using testing::numbers_from_to;
using testing::records_from_to;
using testing::SpoolTest;
using testing::take_all;
using Append = Spool::Append;

class SpoolDisk : public SpoolTest {
protected:
    const Spool::TimePoint begin = Spool::TimePoint{} + 1h;

    Append append_at(std::uint64_t number, Spool::TimePoint at, std::size_t bytes = 300) {
        return spool->append(numbered_batch(number, bytes), at);
    }
};

TEST_F(SpoolDisk, ThatIsFullLeavesTheBatchToTheCallerAndIsTriedAgainEverySecond) {
    open();
    append(0, 10);
    disk.writable_bytes = 100; // Into the middle of the batch.

    EXPECT_EQ(append_at(10, begin), Append::failed);

    disk.writable_bytes.reset();
    EXPECT_EQ(append_at(10, begin + 999ms), Append::failed);
    EXPECT_EQ(append_at(10, begin + 1s), Append::written);
    EXPECT_EQ(lines.count("No space left on device"), 1u);
    EXPECT_EQ(lines.count("free some space"), 1u);
    EXPECT_EQ(lines.count("works again, after 2 refused batches"), 1u);
    EXPECT_EQ(spool->counts().io_errors, 1u);
    open_after_death();
    EXPECT_EQ(spool->counts().corrupt_ranges, 0u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 11));
}

TEST_F(SpoolDisk, ThatStaysFullIsReportedOnce) {
    open();
    disk.write_error = ENOSPC;
    for (int second = 0; second < 100; ++second) {
        EXPECT_EQ(append_at(0, begin + second * 1s), Append::failed);
    }

    EXPECT_EQ(lines.count("No space left on device"), 1u);
    EXPECT_EQ(spool->counts().io_errors, 100u);
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolDisk, ThatFailsInTheMiddleAndCannotBeCutLosesNothingElse) {
    open();
    append(0, 10);
    disk.writable_bytes = 100;
    disk.truncate_error = EIO;
    EXPECT_EQ(append_at(10, begin), Append::failed);
    disk.writable_bytes.reset();
    disk.truncate_error = 0;

    EXPECT_EQ(append_at(10, begin + 1s), Append::written); // In a segment of its own.

    EXPECT_EQ(segments().size(), 2u);
    open_after_death();
    EXPECT_EQ(spool->counts().lost.batches, 0u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 11));
}

TEST_F(SpoolDisk, ThatIsFullFromTheFirstByteOnLeavesNoRubbish) {
    open();
    disk.writable_bytes = 0;
    EXPECT_EQ(append_at(0, begin), Append::failed);
    EXPECT_FALSE(spool->next());
    disk.writable_bytes.reset();

    EXPECT_EQ(append_at(0, begin + 1s), Append::written);

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 1));
    spool.reset();
    EXPECT_TRUE(segments().empty());
}

TEST_F(SpoolDisk, ThatGivesNoNewFilesIsSurvived) {
    for (const int error : {EMFILE, EROFS, EACCES, EIO}) {
        open();
        disk.open_error = error;
        EXPECT_EQ(append_at(0, begin), Append::failed);
        disk.open_error = 0;
        EXPECT_EQ(append_at(0, begin + 1s), Append::written);
        EXPECT_EQ(take_all(*spool), numbers_from_to(0, 1));
    }
    EXPECT_EQ(lines.count("cannot begin a segment"), 4u);
    EXPECT_EQ(lines.count("ulimit -n"), 1u);
    EXPECT_EQ(lines.count("mount the file system for writing"), 1u);
}

TEST_F(SpoolDisk, ThatCannotForceWhatItHasWrittenIsToldAndGivenANewFile) {
    open();
    append(0, 3);
    disk.sync_error = EIO;
    spool->sync_if_due(Spool::TimePoint::max());
    disk.sync_error = 0;
    append(3, 6);

    EXPECT_EQ(segments().size(), 2u);
    EXPECT_EQ(lines.count("may not survive a loss of power"), 1u);
    EXPECT_GT(spool->counts().io_errors, 0u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 6));
}

TEST_F(SpoolDisk, ThatCannotForceEachBatchStillHasThem) {
    auto with = options();
    with.sync = 0ms;
    open(with);
    disk.sync_error = EIO;

    append(0, 3);

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 3));
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolDisk, ThatCannotBeReadLosesWhatIsOnItAndNeverLoops) {
    auto with = options();
    with.memory_bytes_max = 0;
    open(with);
    append(0, 200);
    disk.read_error = EIO;

    EXPECT_FALSE(spool->next());

    EXPECT_EQ(spool->counts().lost.batches, 200u);
    EXPECT_EQ(spool->counts().lost.records, records_from_to(0, 200));
    EXPECT_TRUE(spool->counts().is_balanced());
    EXPECT_GT(spool->counts().io_errors, 0u);
    disk.read_error = 0;
    append(200, 210);
    EXPECT_EQ(take_all(*spool), numbers_from_to(200, 210));
}

TEST_F(SpoolDisk, ThatOpensNoFileForReadingNowIsAskedAgain) {
    class NoFiles final : public detail::SpoolFiles {
    public:
        int open(int directory, const char* name, int flags) noexcept override {
            if (error == 0) { return SpoolFiles::open(directory, name, flags); }
            errno = error;
            return -1;
        }
        int error = 0;
    } full;
    auto with = options();
    with.memory_bytes_max = 0;
    auto opened = detail::open_spool(with, lines.log(), full);
    ASSERT_TRUE(opened.has_value());
    spool = std::move(*opened);
    append(0, 3);
    full.error = EMFILE;
    EXPECT_FALSE(spool->next());
    EXPECT_EQ(spool->counts().lost.batches, 0u);
    full.error = 0;

    const auto first = spool->next();
    ASSERT_TRUE(first);
    spool->put_back_all();
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 3));
    spool.reset();
}

TEST_F(SpoolDisk, ThatTakesNoCursorSendsAgainButSettlesNow) {
    open();
    append(0, 10);
    disk.write_error = EIO;
    for (int i = 0; i < 4; ++i) { spool->acknowledge(spool->next()->id); }
    EXPECT_EQ(spool->counts().settled.batches, 4u);
    EXPECT_GT(lines.count("cannot note what has been sent"), 0u);
    EXPECT_TRUE(spool->counts().is_balanced());

    open_after_death();

    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 10));
}

TEST_F(SpoolDisk, ThatDeletesNothingIsSurvived) {
    open();
    append(0, 300);
    disk.remove_error = EACCES;
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 300));
    spool.reset();
    EXPECT_GT(lines.count("cannot delete"), 0u);
    disk.remove_error = 0;

    open(); // Now it can.

    EXPECT_EQ(spool->counts().resumed.batches, 0u);
    EXPECT_TRUE(segments().empty());
}

TEST_F(SpoolDisk, ThatRefusesEverythingStillOpensWithWhatIsOnIt) {
    open();
    append(0, 50);
    spool.reset();
    disk.open_error = disk.write_error = disk.truncate_error = disk.remove_error = disk.sync_error =
        EROFS;

    open();

    EXPECT_EQ(append_at(50, begin), Append::failed);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 50));
    EXPECT_TRUE(spool->counts().is_balanced());
}

TEST_F(SpoolDisk, LimitOfTheProcessIsAnErrorAndNotItsDeath) {
    testing::Forked child([&] {
        open();
        const rlimit limit{8192, 8192};
        EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
        std::uint64_t written = 0;
        while (append_at(written, begin) == Append::written) { ++written; }
        EXPECT_GT(written, 10u);
        EXPECT_EQ(append_at(written, begin + 1s), Append::written); // In a new segment.
        EXPECT_EQ(append_at(written + 1, begin + 1s, 20'000), Append::failed);
        EXPECT_GE(lines.count("ulimit -f"), 1u);
        EXPECT_EQ(take_all(*spool), numbers_from_to(0, written + 1));
    });
    EXPECT_EQ(child.wait(), "exit 0");
}

// A file system of its own, as small as asked for; null where the user may not mount.
class SmallDisk {
public:
    explicit SmallDisk(std::string path) : path_(std::move(path)) {
        std::filesystem::create_directory(path_);
        is_mounted_ = ::mount("weft-test", path_.c_str(), "tmpfs", 0, "size=256k,mode=0700") == 0;
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (is_mounted_) { ::umount2(path_.c_str(), MNT_DETACH); }
    }
    [[nodiscard]] bool is_mounted() const noexcept { return is_mounted_; }
    [[nodiscard]] bool make_read_only(bool read_only) const {
        unsigned long flags = MS_REMOUNT;
        if (read_only) { flags |= MS_RDONLY; }
        return ::mount("weft-test", path_.c_str(), "tmpfs", flags, "size=256k") == 0;
    }

private:
    std::string path_;
    bool is_mounted_ = false;
};

TEST_F(SpoolDisk, ThatIsReallyFullWorksAgainOnceThereIsRoom) {
    const SmallDisk small(folder / "mount");
    if (!small.is_mounted()) { GTEST_SKIP() << "needs the right to mount a tmpfs"; }
    auto with = options();
    with.directory = folder / "mount/spool";
    auto opened = Spool::open(with, lines.log());
    ASSERT_TRUE(opened.has_value());
    spool = std::move(*opened);
    std::uint64_t written = 0;
    while (append_at(written, begin) == Append::written) { ++written; }
    EXPECT_GT(written, 300u);
    EXPECT_EQ(lines.count("No space left on device"), 1u);

    for (std::uint64_t i = 0; i < written / 2; ++i) { spool->acknowledge(spool->next()->id); }
    spool->sync_if_due(Spool::TimePoint::max());
    const auto before = written;
    while (append_at(written, begin + 1s) == Append::written) { ++written; }
    EXPECT_GT(written, before + 100);
    spool.reset(); // Also with no room left.

    open(with);
    EXPECT_EQ(spool->counts().corrupt_ranges, 0u);
    EXPECT_EQ(take_all(*spool), numbers_from_to(before / 2, written));
    spool.reset();
}

TEST_F(SpoolDisk, ThatIsFullBeforeTheFirstFileIsOnlyADiskThatIsFull) {
    const SmallDisk small(folder / "mount");
    if (!small.is_mounted()) { GTEST_SKIP() << "needs the right to mount a tmpfs"; }
    std::filesystem::create_directory(folder / "mount/spool");
    std::filesystem::permissions(folder / "mount/spool", std::filesystem::perms::owner_all);
    testing::write_file(folder / "mount/filler", std::string(400 << 10, 'x'));
    auto with = options();
    with.directory = folder / "mount/spool";
    open(with);
    EXPECT_EQ(append_at(0, begin), Append::failed);

    std::filesystem::remove(folder / "mount/filler");

    EXPECT_EQ(append_at(0, begin + 1s), Append::written);
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 1));
    spool.reset();
}

TEST_F(SpoolDisk, ThatIsMountedReadOnlyIsSentFromAndResumesOnceItIsWritable) {
    const SmallDisk small(folder / "mount");
    if (!small.is_mounted()) { GTEST_SKIP() << "needs the right to mount a tmpfs"; }
    auto with = options();
    with.directory = folder / "mount/spool";
    open(with);
    append(0, 20);
    spool.reset();
    if (!small.make_read_only(true)) { GTEST_SKIP() << "cannot remount"; }

    open(with);
    EXPECT_EQ(append_at(20, begin), Append::failed);
    EXPECT_EQ(lines.count("Read-only file system"), 1u);
    EXPECT_EQ(spool->counts().waiting.batches, 20u);
    spool->acknowledge(spool->next()->id);
    ASSERT_TRUE(small.make_read_only(false));
    EXPECT_EQ(append_at(20, begin + 1s), Append::written);
    EXPECT_EQ(take_all(*spool), numbers_from_to(1, 21));
    spool.reset();
}

TEST_F(SpoolDisk, WhoseDirectoryMayNotBeWrittenToIsSentFrom) {
    std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
    testing::Forked child([&] {
        if (::geteuid() == 0 && ::setuid(65534) != 0) { _exit(1); } // Root may write anywhere.
        open();
        append(0, 20);
        spool.reset();
        EXPECT_EQ(::chmod((folder / "spool").c_str(), 0500), 0);
        open();
        EXPECT_EQ(append_at(20, begin), Append::failed);
        EXPECT_EQ(lines.count("Permission denied"), 1u);
        EXPECT_EQ(take_all(*spool), numbers_from_to(0, 20));
        spool.reset();
        EXPECT_EQ(::chmod((folder / "spool").c_str(), 0700), 0);
    });
    EXPECT_EQ(child.wait(), "exit 0");
}

} // namespace
} // namespace weft
