#include <weft/runtime/context.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/runtime/producer_gate.hpp>
#include <weft/runtime/record_queue.hpp>
#include <weft/signals/scope.hpp>
#include <weft/testing/forked.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

// The parts of a fork, each with a real one: order, held mutexes, descriptors, queues, gates.

namespace weft::detail {
namespace {

using ::testing::ElementsAre;
using testing::Forked;

// What handlers did, in this process.
std::vector<std::string> log_of_handlers; // NOLINT: handlers have no other place to write to.

struct Logged {
    explicit Logged(ForkOrder order, const char* name_)
        : name(name_), at_fork({order, this, before, in_parent, in_child}) {}
    static void write(void* self, const char* what) {
        log_of_handlers.push_back(static_cast<Logged*>(self)->name + (" " + std::string(what)));
    }
    static void before(void* self) noexcept { write(self, "before"); }
    static void in_parent(void* self) noexcept { write(self, "parent"); }
    static void in_child(void* self) noexcept { write(self, "child"); }
    const std::string name;
    ForkRegistration at_fork;
};

TEST(Fork, RunsHandlersInOrderBeforeAndInReverseAfter) {
    const Logged leaf(ForkOrder::leaf, "leaf");
    const Logged lifecycle(ForkOrder::lifecycle, "lifecycle");
    std::optional<Logged> gone(std::in_place, ForkOrder::host, "gone");
    const Logged context(ForkOrder::context, "context");
    gone.reset();
    log_of_handlers.clear();

    Forked child([] {
        EXPECT_THAT(
            log_of_handlers, ElementsAre(
                                 "lifecycle before", "context before", "leaf before", "leaf child",
                                 "context child", "lifecycle child"));
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_THAT(
        log_of_handlers, ElementsAre(
                             "lifecycle before", "context before", "leaf before", "leaf parent",
                             "context parent", "lifecycle parent"));
}

// Goal: a child finds no mutex of the library locked for ever. Method: threads that hardly let go of them while many
// children are forked, each of which takes them all.
TEST(Fork, LeavesNoMutexOfTheLibraryLockedInTheChild) {
    diagnostics().set_handler([](const Diagnostic&) {});
    std::mutex own;
    const ForkRegistration at_fork(ForkOrder::leaf, own);
    const auto use_all = [&own](int i) {
        { const std::lock_guard lock(own); }
        diagnostics().report(DiagnosticLevel::info, "fork.test", "busy");
        (void)register_scope({.name = "fork", .version = std::to_string(i % 4)});
        (void)SlotLease::fork();         // Takes slots from the pool, and gives them back.
        std::vector<ContextSlot*> slots; // More than a thread keeps.
        for (int j = 0; j < 80; ++j) { slots.push_back(SlotPool::acquire()); }
        for (auto* slot : slots) { SlotPool::release(slot); }
        finish_ended_chains();
        RecordQueue(64u << 10, 1).discard(); // The spare descriptors.
    };
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int j = 0; !stop; ++j) { use_all(j); }
        });
    }

    for (int i = 0; i < 40; ++i) {
        Forked child([&] { use_all(i); });
        ASSERT_EQ(child.wait(), "exit 0") << "child " << i;
    }

    stop = true;
    for (auto& thread : threads) { thread.join(); }
    diagnostics().set_handler(nullptr);
}

TEST(OwnDescriptor, IsClosedInTheChildAndForgottenThere) {
    OwnDescriptor own;
    int descriptor = -1;
    own.open([&] { return descriptor = eventfd(0, EFD_CLOEXEC); });
    ASSERT_GE(descriptor, 0);

    Forked child([&] {
        EXPECT_EQ(fcntl(descriptor, F_GETFD), -1);
        const int next = eventfd(0, EFD_CLOEXEC); // Gets the number that has become free.
        bool forgotten = false;
        own.close([&] { ADD_FAILURE() << "it would close another's"; }, [&] { forgotten = true; });
        EXPECT_TRUE(forgotten);
        own.open([&] { return next; }); // From now on it is the child's.
        bool closed = false;
        own.close([&] { closed = true; }, [] {});
        EXPECT_TRUE(closed);
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_NE(fcntl(descriptor, F_GETFD), -1) << "the parent keeps its own";
    bool closed = false;
    own.close([&] { closed = close(descriptor) == 0; }, [] {});
    EXPECT_TRUE(closed);
    Forked later([&] { own.close([] {}, [] { ADD_FAILURE(); }); });
    EXPECT_EQ(later.wait(), "exit 0") << "what was closed before is not closed again";
}

void push(RecordQueue& queue, const std::string& text) {
    ASSERT_EQ(
        queue.push(text.size(), [&](std::byte* p) { std::memcpy(p, text.data(), text.size()); }),
        RecordQueue::Push::accepted);
}

std::vector<std::string> take_all(RecordQueue& queue) {
    std::vector<std::string> texts;
    queue.consume([&](std::span<const std::byte> payload) {
        texts.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
        return true;
    });
    return texts;
}

TEST(RecordQueue, IsEmptyInAForkedChildAndUntouchedInTheParent) {
    RecordQueue queue(64u << 10, 2);
    push(queue, "parent's 1");
    EXPECT_THAT(take_all(queue), ElementsAre("parent's 1"));
    push(queue, "parent's 2");

    Forked child([&] {
        EXPECT_EQ(queue.records_accepted(), 0u);
        EXPECT_EQ(queue.records_consumed(), 0u);
        EXPECT_EQ(queue.used_bytes(), 0u);
        EXPECT_THAT(take_all(queue), ElementsAre());
        for (int lap = 0; lap < 3; ++lap) { // All of the room is there, and zero.
            int pushed = 0;
            while (queue.push(1000, [](std::byte* p) { std::memset(p, 1, 1000); }) ==
                   RecordQueue::Push::accepted) {
                ++pushed;
            }
            EXPECT_GE(pushed, 30);
            EXPECT_EQ(take_all(queue).size(), static_cast<std::size_t>(pushed));
        }
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_EQ(queue.records_accepted(), 2u);
    EXPECT_EQ(queue.records_consumed(), 1u);
    EXPECT_THAT(take_all(queue), ElementsAre("parent's 2"));
}

// A thread that was between claim and commit has no counterpart in the child: the frame would never be complete, and
// the ring blocked.
TEST(RecordQueue, AFrameThatWasBeingWrittenDoesNotBlockTheChild) {
    RecordQueue queue(64u << 10, 1);
    std::optional<Forked> child;
    ASSERT_EQ(
        queue.push(
            8,
            [&](std::byte* p) {
                child.emplace([&] {
                    push(queue, "child's");
                    EXPECT_THAT(take_all(queue), ElementsAre("child's"));
                });
                std::memcpy(p, "parent's", 8);
            }),
        RecordQueue::Push::accepted);

    EXPECT_EQ(child->wait(), "exit 0");
    EXPECT_THAT(take_all(queue), ElementsAre("parent's"));
}

TEST(RecordQueue, AForkedChildWakesItsOwnDrainOnly) {
    RecordQueue queue(64u << 10, 1);
    RecordQueue(64u << 10, 1)
        .discard(); // Leaves a spare descriptor, which must not be shared either.
    queue.arm();
    const auto fill = [&] {
        while (queue.push(1000, [](std::byte*) {}) == RecordQueue::Push::accepted) {}
    };
    const auto is_readable = [](int descriptor) {
        pollfd entry{descriptor, POLLIN, 0};
        return poll(&entry, 1, 0) == 1;
    };

    Forked child([&] {
        RecordQueue other(64u << 10, 1);
        const int mine = queue.wake_descriptor();
        queue.arm();
        other.arm();
        fill();
        while (other.push(1000, [](std::byte*) {}) == RecordQueue::Push::accepted) {}
        EXPECT_TRUE(is_readable(mine));
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_FALSE(is_readable(queue.wake_descriptor()));
    RecordQueue reuses_the_spare(64u << 10, 1);
    EXPECT_FALSE(is_readable(reuses_the_spare.wake_descriptor()));
    fill();
    EXPECT_TRUE(is_readable(queue.wake_descriptor()));
}

struct Owner {
    int started = 0;
    bool succeeds = true;
    static bool start(void* self) noexcept {
        ++static_cast<Owner*>(self)->started;
        return static_cast<Owner*>(self)->succeeds;
    }
};

TEST(ProducerGate, OpensInAForkedChildWithItsFirstRecord) {
    ProducerGate gate;
    Owner owner;
    gate.set_owner(&owner, Owner::start);
    const auto before = gate.generation();
    EXPECT_TRUE(gate.is_open_for(before));
    using Answer = ProducerGate::Answer;

    Forked child([&] {
        EXPECT_TRUE(gate.is_open());
        EXPECT_NE(gate.generation(), before);
        EXPECT_FALSE(gate.is_open_for(before));
        EXPECT_FALSE(gate.is_open_for(gate.generation()));
        EXPECT_EQ(gate.look_again(before), Answer::inherited);
        EXPECT_EQ(owner.started, 0) << "a child without a record of its own costs nothing";

        EXPECT_EQ(gate.look_again(gate.generation()), Answer::accepted);
        EXPECT_EQ(owner.started, 1);
        EXPECT_TRUE(gate.is_open_for(gate.generation()));
        EXPECT_EQ(gate.look_again(gate.generation()), Answer::accepted);
        EXPECT_EQ(owner.started, 1);

        Forked grandchild([&] {
            EXPECT_EQ(gate.look_again(before), Answer::inherited);
            EXPECT_EQ(gate.look_again(gate.generation() - 1), Answer::inherited);
            EXPECT_EQ(gate.look_again(gate.generation()), Answer::accepted);
            EXPECT_EQ(owner.started, 2);
            EXPECT_TRUE(gate.close());
            EXPECT_EQ(gate.look_again(gate.generation()), Answer::closed);
        });
        EXPECT_EQ(grandchild.wait(), "exit 0");
        EXPECT_TRUE(gate.is_open());
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_TRUE(gate.is_open_for(before));
    EXPECT_EQ(owner.started, 0);
}

TEST(ProducerGate, ThatWasClosedStaysClosedInTheChild) {
    ProducerGate gate;
    Owner owner;
    gate.set_owner(&owner, Owner::start);
    EXPECT_TRUE(gate.close());
    EXPECT_FALSE(gate.close());

    Forked child([&] {
        EXPECT_FALSE(gate.is_open());
        EXPECT_EQ(gate.look_again(gate.generation()), ProducerGate::Answer::closed);
        EXPECT_FALSE(gate.close());
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_EQ(owner.started, 0);
}

TEST(ProducerGate, ClosedBeforeTheChildsFirstRecordStartsNothing) {
    ProducerGate gate;
    Owner owner;
    gate.set_owner(&owner, Owner::start);
    Forked child([&] {
        EXPECT_TRUE(gate.close()) << "the child's first";
        EXPECT_EQ(gate.look_again(gate.generation()), ProducerGate::Answer::closed);
        EXPECT_EQ(owner.started, 0);
    });
    EXPECT_EQ(child.wait(), "exit 0");
}

TEST(ProducerGate, SaysWhenAChildCannotExport) {
    ProducerGate gate;
    Owner owner{.succeeds = false};
    gate.set_owner(&owner, Owner::start);
    Forked child([&] {
        std::vector<std::string> lines;
        diagnostics().set_handler([&](const Diagnostic& line) {
            const std::lock_guard lock(lifecycle_mutex()); // As one that asks for a ledger.
            lines.emplace_back(line.key);
        });
        EXPECT_EQ(gate.look_again(gate.generation()), ProducerGate::Answer::accepted);
        EXPECT_THAT(lines, ElementsAre("fork.start"));
    });
    EXPECT_EQ(child.wait(), "exit 0");
}

} // namespace
} // namespace weft::detail
