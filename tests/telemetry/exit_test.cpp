#include "../viewer/child_program.hpp"
#include "receiver.hpp"

#include <weft/testing/json.hpp>

// How a program ends: spans that end after the shutdown, in destructors of thread-locals and statics, or on threads that
// nobody has joined, are counted and do no harm.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

struct Ended {
    int status = -1;
    std::string out;
    std::string err;
};

Ended run(const std::string& what, const Receiver& receiver) {
    ChildProgram program({WEFT_EXIT_PROGRAM, what, receiver.url()});
    const int status = program.wait();
    return {status, program.out(), program.err()};
}

TEST(Exit, SpansThatEndInDestructorsAfterTheShutdownAreCountedNoOps) {
    Receiver receiver;
    const auto ended = run("shut down", receiver);

    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.err, "");
    EXPECT_THAT(receiver.names(), ElementsAre("in time"));
    const Json ledger(ended.out);
    EXPECT_EQ(ledger["spans"]["exported"].get_uint64().value(), 1u);
    // Of two threads' locals and one static: one that was open and one that is new, each.
    EXPECT_EQ(ledger["spans"]["dropped"]["shutdown"].get_uint64().value(), 6u);
    EXPECT_EQ(ledger["spans"]["created"].get_uint64().value(), 7u);
}

TEST(Exit, SpansMayEndInDestructorsAfterTheRuntimeHasGone) {
    Receiver receiver;
    const auto ended = run("destroyed", receiver);
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.err, "");
    EXPECT_THAT(receiver.names(), ElementsAre("in time"));
}

TEST(Exit, AStaticRuntimeExportsWhatHasEndedBeforeItsTurn) {
    Receiver receiver;
    const auto ended = run("static", receiver);
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.err, "");
    // Thread-locals of the main thread go before all statics.
    EXPECT_THAT(
        receiver.names(),
        UnorderedElementsAre(
            "in time", "ends in a destructor", "begins in a destructor", "of the default runtime"));
}

TEST(Exit, AProgramMayForkBeforeItUsesAnythingOfTheLibrary) {
    Receiver receiver;
    EXPECT_EQ(run("fork first", receiver).status, 0);
    EXPECT_THAT(receiver.names(), ElementsAre("in time"));
}

TEST(Exit, ThreadsThatNobodyJoinsMayMakeSpansToTheLastMoment) {
    for (int i = 0; i < 5; ++i) {
        Receiver receiver;
        const auto ended = run("detached", receiver);
        EXPECT_EQ(ended.status, 0) << ended.err;
        EXPECT_EQ(receiver.names().at(0), "in time");
    }
}

} // namespace
} // namespace weft::testing
