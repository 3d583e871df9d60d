// The program itself, as a user starts it: `weft ring inspect`.
#include "../runtime/ring_folder.hpp"
#include "child_program.hpp"

#include <weft/runtime/ring_file.hpp>
#include <weft/testing/json.hpp>

#include <gmock/gmock.h>

#include <cstring>
#include <fstream>

namespace weft {
namespace {

using testing::ChildProgram;
using ::testing::HasSubstr;
using testing::RingFolder;

struct Ended {
    int status = -1;
    std::string out;
    std::string err;
};

Ended run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {WEFT_PROGRAM, "ring"});
    ChildProgram program(arguments);
    const int status = program.wait();
    return {status, program.out(), program.err()};
}

// With one record, and one that is being written.
std::unique_ptr<RingFile> make_file(const RingFolder& folder) {
    auto file = std::make_unique<RingFile>(
        RingFile::Setup{.directory = folder.path(), .ring_bytes = 4096, .service = "my \"shop\""});
    const auto ring = file->map_ring(0);
    std::byte* const place = ring->claim(4);
    std::memcpy(place, "done", 4);
    ring->commit(place, 4);
    std::memcpy(ring->claim(4), "ha", 2);
    return file;
}

TEST(WeftRing, ShowsWhatAFileHoldsWhileItsOwnerLivesAndAfter) {
    const RingFolder folder;
    auto file = make_file(folder);
    const auto path = file->path();
    const auto alive = run({"inspect", "--json", folder.path()});
    EXPECT_EQ(alive.status, 0) << alive.err;
    const testing::Json first(alive.out);
    EXPECT_EQ(first["owner"].get_string().value(), "alive");
    EXPECT_EQ(first["service"].get_string().value(), "my \"shop\"");
    EXPECT_EQ(first["records"].get_uint64().value(), 1u);
    EXPECT_EQ(first["half_written"].get_uint64().value(), 1u);
    EXPECT_EQ(first["pid"].get_uint64().value(), static_cast<std::uint64_t>(getpid()));

    file.reset();
    const auto dead = run({"inspect", path});
    EXPECT_EQ(dead.status, 0) << dead.err;
    EXPECT_THAT(dead.out, HasSubstr("dead, traces of my \"shop\", process"));
    EXPECT_THAT(dead.out, HasSubstr("1 records not settled, 1 half written, 32 of 4096 bytes"));
    EXPECT_THAT(run({"inspect", path}).out, HasSubstr("1 half written, 32 of 4096 bytes"))
        << "inspecting changes nothing";
}

TEST(WeftRing, SaysThatAFolderHasNone) {
    const RingFolder folder;
    const auto ended = run({"inspect", "--json", folder.path()});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.out, "");
    EXPECT_THAT(ended.err, HasSubstr("no ring files in " + folder.path()));
}

TEST(WeftRing, SaysWhatIsWrongWithAFile) {
    const RingFolder folder;
    std::ofstream(folder.path() + "/a.ring") << "not a ring";
    const auto ended = run({"inspect", folder.path()});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.out, "a.ring\n  it is no ring file\n");
}

TEST(WeftRing, RefusesMistakesWithTheirRemedy) {
    const RingFolder folder;
    EXPECT_EQ(run({}).status, 2);
    EXPECT_THAT(run({"eat"}).err, HasSubstr("unknown subcommand 'eat'; there is inspect"));
    EXPECT_EQ(run({"inspect", "a", "b"}).status, 2);
    EXPECT_EQ(run({"inspect", "--loud"}).status, 2);
    EXPECT_THAT(run({"--help"}).out, HasSubstr("usage: weft ring inspect [FOLDER|FILE] [options]"));
    const auto absent = run({"inspect", folder.path() + "/none"});
    EXPECT_EQ(absent.status, 1);
    EXPECT_THAT(absent.err, HasSubstr("give a folder with ring files"));
    EXPECT_EQ(run({"inspect", folder.path() + "/none.ring"}).status, 1);
}

} // namespace
} // namespace weft
