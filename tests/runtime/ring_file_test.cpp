#include "ring_folder.hpp"

#include <weft/runtime/orphan_rings.hpp>
#include <weft/runtime/record_queue.hpp>
#include <weft/testing/forked.hpp>
#include <weft/testing/random.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

// Rings in files: what a process leaves behind, and what the next one makes of it.

namespace weft {
namespace {

using ::testing::ElementsAre;
using testing::Forked;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RingFolder;
using ::testing::SizeIs;

RingFile::Setup setup_in(const RingFolder& folder, std::size_t bytes = 8192, unsigned shards = 1) {
    return {
        .directory = folder.path(),
        .signal = Signal::traces,
        .ring_bytes = bytes,
        .shards = shards,
        .service = "shop",
        .resource = "the resource",
        .schema_url = "https://schema"};
}

bool push(RecordQueue& queue, std::string_view text) {
    return queue.push(text.size(), [&](std::byte* place) {
        std::memcpy(place, text.data(), text.size());
    }) == RecordQueue::Push::accepted;
}

std::string text_of(std::span<const std::byte> payload) {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

std::vector<std::string> take(RecordQueue& queue, std::size_t most = SIZE_MAX) {
    std::vector<std::string> records;
    queue.consume([&](std::span<const std::byte> payload) {
        if (records.size() == most) { return false; }
        records.push_back(text_of(payload));
        return true;
    });
    return records;
}

// Takes everything, and notes what it was told.
class Plain : public RecordTranslator {
public:
    bool begin(const RingImage& image) override {
        services.emplace_back(image.service());
        resources.emplace_back(image.resource());
        for (const auto& scope : image.scopes()) {
            scopes.push_back(
                std::to_string(scope.index) + '=' + std::string(scope.message) + '|' +
                std::string(scope.schema_url));
        }
        return true;
    }
    bool translate(std::span<std::byte> record) override { return text_of(record) != "damaged"; }

    std::vector<std::string> services;
    std::vector<std::string> resources;
    std::vector<std::string> scopes;
};

struct Durable {
    explicit Durable(const RingFolder& folder, std::size_t bytes = 8192, unsigned shards = 1)
        : queue(bytes, shards) {
        queue.make_durable(std::make_unique<RingFile>(setup_in(folder, bytes, shards)));
        queue.divert_to_file();
    }
    AdoptedRecords::Report adopt(const RingFolder& folder, AdoptedRecords::Limits limits = {}) {
        auto adopted = std::make_unique<AdoptedRecords>();
        const auto report = adopted->adopt(folder.path(), translator, limits);
        queue.adopt(std::move(adopted));
        return report;
    }
    Plain translator;
    RecordQueue queue;
};

// Runs `work` in a process that is killed at its end. What is to die with it has no destructor: it is made with new.
template <class Work>
void in_a_process_that_is_killed(Work work) {
    Forked child([&] {
        work();
        if (!::testing::Test::HasFailure()) { kill(getpid(), SIGKILL); }
    });
    ASSERT_EQ(child.wait(), "signal 9");
}

TEST(RingFile, LeavesTheRecordsOfAKilledProcessToTheNext) {
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        dead.queue.add_scope(0, "weft", "");
        dead.queue.add_scope(7, "the scope", "https://scope");
        push(dead.queue, "first");
        push(dead.queue, "second");
    });
    EXPECT_THAT(folder.rings(), SizeIs(1));

    Durable next(folder);
    const auto report = next.adopt(folder);

    EXPECT_EQ(report.files, 1u);
    EXPECT_EQ(report.records, 2u);
    EXPECT_EQ(report.lost, 0u);
    EXPECT_EQ(next.queue.records_accepted(), 2u);
    EXPECT_THAT(take(next.queue), ElementsAre("first", "second"));
    EXPECT_EQ(next.queue.records_consumed(), 2u);
    EXPECT_THAT(next.translator.services, ElementsAre("shop"));
    EXPECT_THAT(next.translator.resources, ElementsAre("the resource"));
    EXPECT_THAT(next.translator.scopes, ElementsAre("0=weft|", "7=the scope|https://scope"));
    next.queue.release(1);
    EXPECT_THAT(folder.rings(), SizeIs(2)) << "the second is not settled";
    next.queue.release(2);
    EXPECT_THAT(folder.rings(), SizeIs(1)) << "its own";
}

TEST(RingFile, KeepsWhatWasReadButNotSettled) {
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        for (const auto* text : {"a", "b", "c", "d"}) { push(dead.queue, text); }
        EXPECT_THAT(take(dead.queue, 3), SizeIs(3));
        dead.queue.release(2);
    });

    Durable next(folder);
    EXPECT_EQ(next.adopt(folder).records, 2u);
    EXPECT_THAT(take(next.queue), ElementsAre("c", "d"));
}

// An adopter that dies leaves to the next what it had not settled, and no more.
TEST(RingFile, IsAdoptedAgainFromWhereADeadAdopterHadSettledIt) {
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        for (const auto* text : {"a", "b", "c", "d"}) { push(dead.queue, text); }
    });
    in_a_process_that_is_killed([&] {
        auto& second = *new Durable(folder);
        EXPECT_EQ(second.adopt(folder).records, 4u);
        push(second.queue, "own");
        EXPECT_THAT(take(second.queue), ElementsAre("own", "a", "b", "c", "d"));
        second.queue.release(3); // "own" is the first.
    });

    Durable third(folder);
    const auto report = third.adopt(folder);
    EXPECT_EQ(report.records, 2u);
    EXPECT_EQ(report.files, 2u) << "the second's own is empty";
    EXPECT_EQ(report.lost, 0u);
    EXPECT_THAT(take(third.queue), ElementsAre("c", "d"));
    third.queue.release(2);
    EXPECT_THAT(folder.rings(), SizeIs(1));
}

TEST(RingFile, CountsWhatWasHalfWrittenAndHandsOutWhatIsBehindIt) {
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        push(dead.queue, "first");
        dead.queue.push(1000, [&](std::byte* place) {
            std::memset(place, 1, 500); // Which looks like many things.
            dead.queue.push(6, [](std::byte* inner) { std::memcpy(inner, "behind", 6); });
            kill(getpid(), SIGKILL);
        });
    });

    Durable next(folder);
    const auto report = next.adopt(folder);
    EXPECT_EQ(report.records, 2u);
    EXPECT_EQ(report.lost, 1u);
    EXPECT_THAT(take(next.queue), ElementsAre("first", "behind"));
}

TEST(RingFile, CountsADamagedRecordAndHandsOutTheOthers) {
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        for (const auto* text : {"a", "damaged", "c"}) { push(dead.queue, text); }
    });
    Durable next(folder);
    const auto report = next.adopt(folder);
    EXPECT_EQ(report.records, 2u);
    EXPECT_EQ(report.lost, 1u);
    EXPECT_THAT(take(next.queue), ElementsAre("a", "c"));
}

TEST(RingFile, IsNotAdoptedWhileItsOwnerLives) {
    const RingFolder folder;
    Durable owner(folder);
    push(owner.queue, "mine");

    Durable other(folder);
    EXPECT_EQ(other.adopt(folder).files, 0u) << "of the same process";
    Forked child([&] {
        Durable third(folder);
        EXPECT_EQ(third.adopt(folder).files, 0u) << "of another";
    });
    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_THAT(take(owner.queue), ElementsAre("mine"));
}

TEST(RingFile, IsAdoptedByOneOfTwo) {
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        push(dead.queue, "once");
    });
    Durable first(folder);
    Durable second(folder);
    EXPECT_EQ(first.adopt(folder).records, 1u);
    EXPECT_EQ(second.adopt(folder).records, 0u);
    EXPECT_THAT(take(second.queue), IsEmpty());
    EXPECT_THAT(take(first.queue), ElementsAre("once"));
}

// A child holds neither the lock nor the memory of its parent's file.
TEST(RingFile, IsAdoptedThoughAChildOfItsDeadOwnerLives) {
    const RingFolder folder;
    int to_child[2];
    int from_owner[2];
    ASSERT_EQ(pipe2(to_child, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(from_owner, O_CLOEXEC), 0);
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder);
        push(dead.queue, "parent's");
        const auto child = fork();
        if (child == 0) {
            const bool pushed = push(dead.queue, "child's");
            const char answer = pushed && take(dead.queue) == std::vector<std::string>{"child's"};
            (void)!write(from_owner[1], &answer, 1);
            char end = 0;
            close(to_child[1]);
            (void)!read(to_child[0], &end, 1); // Until the test is over.
            _exit(0);
        }
        char answer = 0;
        (void)!read(from_owner[0], &answer, 1);
        EXPECT_EQ(answer, 1);
    });

    Durable next(folder);
    EXPECT_EQ(next.adopt(folder).records, 1u);
    EXPECT_THAT(take(next.queue), ElementsAre("parent's"));
    close(to_child[1]);
}

TEST(RingFile, OfAForkedChildIsItsOwn) {
    const RingFolder folder;
    Durable parent(folder);
    push(parent.queue, "parent's");
    Forked child([&] {
        EXPECT_FALSE(parent.queue.is_durable());
        EXPECT_EQ(parent.queue.records_accepted(), 0u);
        push(parent.queue, "in memory");
        parent.queue.make_durable(std::make_unique<RingFile>(setup_in(folder)));
        parent.queue.divert_to_file();
        push(parent.queue, "in a file");
        EXPECT_EQ(parent.queue.records_accepted(), 2u);
        EXPECT_THAT(take(parent.queue), ElementsAre("in memory", "in a file"));
        kill(getpid(), SIGKILL);
    });
    EXPECT_EQ(child.wait(), "signal 9");
    EXPECT_THAT(take(parent.queue), ElementsAre("parent's"));

    Durable next(folder);
    EXPECT_EQ(next.adopt(folder).records, 1u);
    EXPECT_THAT(take(next.queue), ElementsAre("in a file"));
}

TEST(RingFile, IsDeletedByAnEndThatLeavesNothingAndStaysForOneThatDoes) {
    const RingFolder folder;
    {
        Durable tidy(folder);
        push(tidy.queue, "settled");
        (void)take(tidy.queue);
        tidy.queue.release(1);
        tidy.queue.discard();
        EXPECT_THAT(folder.rings(), IsEmpty());
        EXPECT_TRUE(push(tidy.queue, "late")) << "does no harm";
    }
    Durable hasty(folder);
    push(hasty.queue, "unsettled");
    (void)take(hasty.queue);
    hasty.queue.discard();
    EXPECT_THAT(folder.rings(), SizeIs(1));
    Durable next(folder);
    EXPECT_EQ(next.adopt(folder).records, 1u);
}

TEST(RingFile, LeavesWhatIsOverTheLimits) {
    const RingFolder folder;
    for (int i = 0; i < 3; ++i) {
        in_a_process_that_is_killed([&] {
            auto& dead = *new Durable(folder);
            push(dead.queue, std::string(1000, 'x'));
        });
    }
    {
        Durable next(folder);
        const auto report = next.adopt(folder, {.files_max = 1});
        EXPECT_EQ(report.files, 1u);
        EXPECT_EQ(report.left_behind, 2u);
    }
    Durable next(folder);
    const auto report = next.adopt(folder, {.bytes_max = 2500});
    EXPECT_EQ(report.records, 2u);
    EXPECT_EQ(report.left_behind, 1u);
}

TEST(RingFile, RefusesAFolderThatOthersMayEnterOrThatIsALink) {
    const RingFolder folder;
    const auto message = [](const std::string& directory) -> std::string {
        try {
            const RingFile made({.directory = directory, .ring_bytes = 4096, .service = "shop"});
            return "";
        } catch (const std::system_error& error) { return error.what(); }
    };
    ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
    EXPECT_THAT(message(folder.path()), HasSubstr("make it private with chmod 700"));
    ASSERT_EQ(chmod(folder.path().c_str(), 0700), 0);
    const auto link = folder.path() + "/link";
    ASSERT_EQ(symlink(folder.path().c_str(), link.c_str()), 0);
    EXPECT_THAT(message(link), HasSubstr("no link to one"));
    EXPECT_THAT(message("relative"), HasSubstr("give an absolute path"));
    EXPECT_THAT(
        message(folder.path() + "/not/there"), HasSubstr("give a folder whose parent exists"));
    EXPECT_THAT(
        message("/proc/version"), HasSubstr("DurableRings::directory is \"/proc/version\""));
    EXPECT_EQ(message(folder.path() + "/made"), "");
    struct stat status {};
    ASSERT_EQ(stat((folder.path() + "/made").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(RingFile, IsForItsUserAloneAndHasAllItsRoom) {
    const RingFolder folder;
    const RingFile file(setup_in(folder, 1u << 20, 2));
    struct stat status {};
    ASSERT_EQ(stat(file.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_GE(static_cast<std::size_t>(status.st_size), 1u << 20);
    EXPECT_GE(status.st_blocks * 512, status.st_size);
    EXPECT_THAT(file.path(), HasSubstr("/shop-" + std::to_string(getpid()) + "-traces-"));
}

TEST(RingFile, SaysThatTheFolderIsFullAndLeavesNothing) {
    const RingFolder folder;
    rlimit limit{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    Forked child([&] { // The same answer as that of a full tmpfs, which only root can have.
        rlimit low{64 << 10, limit.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
        try {
            const RingFile made(setup_in(folder, 1u << 20));
            ADD_FAILURE() << "it has no room";
        } catch (const std::system_error& error) {
            EXPECT_THAT(error.what(), HasSubstr("lower BatchOptions::queue_bytes"));
        }
    });
    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_THAT(folder.files(), IsEmpty());
}

TEST(RingFile, IsNotFollowedWhereItIsALinkAndNotReadWhereItIsNone) {
    const RingFolder folder;
    const RingFolder elsewhere;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(elsewhere);
        push(dead.queue, "elsewhere");
    });
    const auto target = elsewhere.path() + '/' + elsewhere.rings().at(0);
    ASSERT_EQ(symlink(target.c_str(), (folder.path() + "/a.ring").c_str()), 0);
    std::ofstream(folder.path() + "/b.ring") << "not a ring";
    std::ofstream(folder.path() + "/c.ring");
    ASSERT_EQ(mkfifo((folder.path() + "/d.ring").c_str(), 0600), 0);
    ASSERT_EQ(mkdir((folder.path() + "/e.ring").c_str(), 0700), 0);

    Durable next(folder);
    const auto report = next.adopt(folder);
    EXPECT_EQ(report.records, 0u);
    EXPECT_EQ(report.unreadable, 2u);
    EXPECT_THAT(elsewhere.rings(), SizeIs(1));
}

// Goal: whatever a file holds, the next start gets over it. Method: random bytes of a real one are changed.
TEST(RingFile, WithAnyByteChangedHurtsNobody) {
    auto random = testing::Random::seeded("RingFile bytes");
    const RingFolder folder;
    in_a_process_that_is_killed([&] {
        auto& dead = *new Durable(folder, 2048, 2);
        dead.queue.add_scope(3, "scope", "url");
        for (std::size_t i = 0; i < 30; ++i) { push(dead.queue, std::string(20 + i, 'r')); }
    });
    const auto path = folder.path() + '/' + folder.rings().at(0);
    std::ifstream in(path, std::ios::binary);
    const std::string good{std::istreambuf_iterator<char>(in), {}};
    RingFileHeader header;
    std::memcpy(&header, good.data(), sizeof header);
    for (int turn = 0; turn < 2000; ++turn) {
        std::string bad = good;
        const auto changes = random.between(1, 4);
        for (std::size_t i = 0; i < changes; ++i) {
            // Where something is: header, words, the first frames.
            const std::size_t places[] = {
                random.below(sizeof header), header.scopes_at + random.below(64),
                header.rings_at + random.below(sizeof(RingWords)),
                header.rings_at + ByteRing::words_bytes + random.below(2048)};
            bad[places[random.below(4)]] = static_cast<char>(random.below(256));
        }
        std::string problem;
        const auto read_at = testing::reader_of(bad);
        const auto image = RingImage::read(bad.size(), read_at, problem);
        if (!image) {
            EXPECT_NE(problem, "");
            continue;
        }
        (void)image->scopes();
        for (std::uint32_t shard = 0; shard < image->header().shards; ++shard) {
            auto ring = image->read_ring(shard, read_at);
            std::size_t bytes = 0;
            const auto found = image->scan(ring, [&](std::span<std::byte> payload, std::uint64_t) {
                bytes += payload.size();
            });
            EXPECT_LE(bytes, image->header().ring_capacity);
            EXPECT_LE(found.committed + found.half_written, 2 * 2048 / ring_frame::bytes_min);
        }
    }
}

} // namespace
} // namespace weft
