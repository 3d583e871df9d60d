#include "file_output.hpp"
#include "text_sink_fixture.hpp"

#include <weft/exporters/otlp_file.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// Lines in files, on a real file system: whole, in order, and none lost, whatever happens to the file.

namespace weft::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The process may not write beyond so many bytes of a file: what a full disk does, for one process.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : before_signal_(std::signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, before_signal_);
    }

private:
    rlimit before_{};
    void (*before_signal_)(int);
};

class OtlpFile : public TextSinkTest {
protected:
    std::string path() const { return folder / "traces.jsonl"; }
    std::shared_ptr<Sink> sink(OtlpFileOptions options = {}) {
        if (options.path.empty()) { options.path = path(); }
        auto made = make_otlp_file_sink(io.get_executor(), options, Signal::traces, log);
        EXPECT_TRUE(made);
        return *made;
    }
};

TEST_F(OtlpFile, HasOneRequestALineAsOtlpJson) {
    const auto to = sink();
    EXPECT_EQ(send(*to, batch_of(span_request("one"))).exported, 1u);
    EXPECT_EQ(send(*to, batch_of(span_request("two\nlines"))).exported, 1u);

    const auto lines = lines_of(path());
    ASSERT_THAT(lines, SizeIs(2));
    TraceRequest read;
    ASSERT_TRUE(otlp::from_json(lines[0], read));
    EXPECT_EQ(read.SerializeAsString(), span_request("one").SerializeAsString());
    EXPECT_THAT(names_in(lines), ElementsAre("one", "two\nlines"));
}

TEST_F(OtlpFile, IsForItsOwnerAlone) {
    const auto before = umask(0);
    EXPECT_EQ(send(*sink(), batch_of(span_request("one"))).exported, 1u);
    umask(before);
    struct stat status {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(OtlpFile, HasTheSignalInItsNameWhereAsked) {
    const auto to = sink({.path = folder / "{signal}-{signal}.jsonl"});
    EXPECT_EQ(send(*to, batch_of(span_request("one"))).exported, 1u);
    EXPECT_TRUE(std::filesystem::exists(folder / "traces-traces.jsonl"));
}

TEST_F(OtlpFile, GoesOnBehindWhatIsThere) {
    EXPECT_EQ(send(*sink(), batch_of(span_request("before"))).exported, 1u);
    EXPECT_EQ(send(*sink(), batch_of(span_request("after"))).exported, 1u);
    EXPECT_THAT(names_in(lines_of(path())), ElementsAre("before", "after"));
}

TEST_F(OtlpFile, ThatEndsWithinALineCostsThatLineAlone) {
    std::ofstream(path()) << "{\"resourceSpans\":[{\"sco";
    EXPECT_EQ(send(*sink(), batch_of(span_request("next"))).exported, 1u);
    const auto lines = lines_of(path());
    ASSERT_THAT(lines, SizeIs(2));
    EXPECT_THAT(names_in({lines[1]}), ElementsAre("next"));
}

TEST_F(OtlpFile, RotatesBeforeALineThatWouldMakeItTooLarge) {
    const auto to = sink({.bytes_max = 4096, .files_max = 100});
    std::vector<std::string> sent;
    for (int i = 0; i < 50; ++i) {
        sent.push_back("span " + std::to_string(i) + std::string(300, '.'));
        EXPECT_EQ(send(*to, batch_of(span_request(sent.back()))).exported, 1u);
    }
    std::vector<std::string> read;
    int files = 0;
    for (int n = 100; n >= 0; --n) {
        const auto name = n == 0 ? path() : path() + "." + std::to_string(n);
        if (!std::filesystem::exists(name)) { continue; }
        ++files;
        EXPECT_LE(std::filesystem::file_size(name), 4096u);
        const auto names = names_in(lines_of(name));
        read.insert(read.end(), names.begin(), names.end());
    }
    EXPECT_EQ(read, sent) << "the highest number is the oldest, and nothing is missing";
    EXPECT_GT(files, 5);
}

TEST_F(OtlpFile, KeepsAsManyOldOnesAsAsked) {
    const auto to = sink({.bytes_max = 4096, .files_max = 2});
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(send(*to, batch_of(span_request(std::string(1000, '.')))).exported, 1u);
    }
    EXPECT_TRUE(std::filesystem::exists(path() + ".2"));
    EXPECT_FALSE(std::filesystem::exists(path() + ".3"));
}

TEST_F(OtlpFile, WithoutOldOnesIsEmptiedWhenFull) {
    const auto to = sink({.bytes_max = 4096, .files_max = 0});
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(send(*to, batch_of(span_request(std::string(1000, '.')))).exported, 1u);
    }
    EXPECT_LE(std::filesystem::file_size(path()), 4096u);
    EXPECT_FALSE(std::filesystem::exists(path() + ".1"));
}

std::chrono::steady_clock::time_point fake_now;

TEST_F(OtlpFile, RotatesByAge) {
    using namespace std::chrono_literals;
    detail::FileOutput output({.path = path(), .age_max = 1h}, [] { return fake_now; });
    const auto write = [&](std::string_view line) {
        EXPECT_FALSE(output.write(line)) << "no error";
        EXPECT_TRUE(line.empty());
    };
    fake_now = {};
    write("a\n");
    fake_now += 59min;
    write("b\n");
    fake_now += 1min;
    write("c\n");
    EXPECT_THAT(lines_of(path() + ".1"), ElementsAre("a", "b"));
    EXPECT_THAT(lines_of(path()), ElementsAre("c"));
}

TEST_F(OtlpFile, MovedOrRemovedByOthersIsMadeAnew) {
    const auto to = sink();
    EXPECT_EQ(send(*to, batch_of(span_request("one"))).exported, 1u);
    std::filesystem::rename(path(), path() + ".old");
    EXPECT_EQ(send(*to, batch_of(span_request("two"))).exported, 1u);
    std::filesystem::remove(path());
    EXPECT_EQ(send(*to, batch_of(span_request("three"))).exported, 1u);
    EXPECT_THAT(names_in(lines_of(path() + ".old")), ElementsAre("one"));
    EXPECT_THAT(names_in(lines_of(path())), ElementsAre("three"));
}

TEST_F(OtlpFile, OnAFullDiskHoldsNoHalfLineAndGoesOnWhenThereIsRoom) {
    const auto to = sink({.retry_interval = 10ms});
    EXPECT_EQ(send(*to, batch_of(span_request("before"))).exported, 1u);
    const auto bytes = std::filesystem::file_size(path());
    auto limit = std::make_unique<FileSizeLimit>(bytes + 100);
    SendOutcome outcome;
    run(io, [&]() -> asio::awaitable<void> {
        bool done = false;
        asio::co_spawn(
            io, to->send(batch_of(span_request(std::string(1000, 'x')))),
            [&](const std::exception_ptr&, SendOutcome got) {
                outcome = got;
                done = true;
            });
        EXPECT_TRUE(co_await eventually([&] { return logged.size() >= 3; }));
        EXPECT_EQ(std::filesystem::file_size(path()), bytes) << "the half line is cut off";
        EXPECT_FALSE(done);
        limit.reset();
        EXPECT_TRUE(co_await eventually([&] { return done; }));
    });
    EXPECT_EQ(outcome.exported, 1u);
    EXPECT_GE(outcome.attempts, 3);
    EXPECT_THAT(logged, Contains(HasSubstr("traces.jsonl: File too large: traces wait")));
    EXPECT_THAT(names_in(lines_of(path())), ElementsAre("before", std::string(1000, 'x')));
}

// The half line of a writer that is not the last one cannot be cut off.
TEST_F(OtlpFile, OfSeveralWritersKeepsEveryLineApart) {
    detail::FileOutput one({.path = path(), .bytes_max = 4096, .files_max = 100});
    detail::FileOutput other({.path = path(), .bytes_max = 4096, .files_max = 100});
    std::vector<std::string> sent;
    for (int i = 0; i < 200; ++i) {
        sent.push_back("line " + std::to_string(i) + std::string(100, '.'));
        const auto line = sent.back() + '\n';
        std::string_view left = line;
        EXPECT_FALSE((i % 3 == 0 ? one : other).write(left));
    }
    std::vector<std::string> read;
    for (int n = 100; n >= 0; --n) {
        const auto lines = lines_of(n == 0 ? path() : path() + "." + std::to_string(n));
        read.insert(read.end(), lines.begin(), lines.end());
    }
    EXPECT_EQ(read, sent);
}

TEST_F(OtlpFile, InAFolderThatIsMissingIsReportedAndTriedAgain) {
    const auto to = sink({.path = folder / "later" / "t.jsonl", .retry_interval = 10ms});
    const auto outcome =
        send_while(*to, batch_of(span_request("one")), [&]() -> asio::awaitable<void> {
            std::filesystem::create_directory(folder / "later");
            co_return;
        });
    EXPECT_EQ(outcome.exported, 1u);
    EXPECT_THAT(logged.front(), HasSubstr("later/t.jsonl: No such file or directory"));
}

TEST_F(OtlpFile, ThatIsAFolderOrAPipeIsRefused) {
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
    for (const auto& where : {folder, folder / "pipe"}) {
        const auto to = sink({.path = where, .retry_interval = 10ms, .retry_for = 0ms});
        const auto outcome = send(*to, batch_of(span_request("one")));
        EXPECT_EQ(outcome.dropped, 1u);
        EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
        EXPECT_THAT(outcome.detail, ::testing::Not(IsEmpty()));
    }
}

TEST_F(OtlpFile, ThatCannotBeWrittenLosesABatchWhenItsTimeIsOver) {
    const auto to =
        sink({.path = folder / "no" / "t.jsonl", .retry_interval = 10ms, .retry_for = 50ms});
    const auto outcome = send(*to, batch_of(span_request("one"), Signal::traces, 7));
    EXPECT_EQ(outcome.dropped, 7u);
    EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
    EXPECT_GE(outcome.attempts, 2);
}

TEST_F(OtlpFile, ThatCannotBeWrittenDoesNotHoldUpAStop) {
    const auto to = sink({.path = folder / "no" / "t.jsonl", .retry_interval = 1h});
    const auto outcome =
        send_while(*to, batch_of(span_request("one")), [&]() -> asio::awaitable<void> {
            co_await to->stop(std::chrono::steady_clock::now());
        });
    EXPECT_EQ(outcome.dropped, 1u);
    EXPECT_EQ(outcome.reason, DropReason::shutdown);
}

TEST_F(OtlpFile, OfABatchThatIsNoProtobufHasNothing) {
    auto batch = std::make_shared<Batch>();
    batch->records = 3;
    batch->body = "\xff\xff\xff";
    const auto outcome = send(*sink(), batch);
    EXPECT_EQ(outcome.dropped, 3u);
    EXPECT_EQ(outcome.reason, DropReason::encode_failed);
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST(OtlpFileOptions, NameWhatIsWrongWithThem) {
    using namespace std::chrono_literals;
    EXPECT_EQ(problem_in(OtlpFileOptions{.path = "x"}), "");
    EXPECT_EQ(problem_in(OtlpFileOptions{.path = "x", .bytes_max = 0}), "");
    EXPECT_THAT(problem_in(OtlpFileOptions{}), HasSubstr("path is empty"));
    EXPECT_THAT(problem_in(OtlpFileOptions{.path = "x/"}), HasSubstr("not of a folder"));
    EXPECT_THAT(
        problem_in(OtlpFileOptions{.path = "x", .bytes_max = 4095}),
        HasSubstr("bytes_max is 4095: allowed is 0, or 4096 to"));
    EXPECT_THAT(
        problem_in(OtlpFileOptions{.path = "x", .age_max = 999ms}), HasSubstr("age_max is 999 ms"));
    EXPECT_THAT(
        problem_in(OtlpFileOptions{.path = "x", .files_max = 1001}),
        HasSubstr("files_max is 1001"));
    EXPECT_THAT(
        problem_in(OtlpFileOptions{.path = "x", .retry_interval = 9ms}),
        HasSubstr("retry_interval is 9 ms"));
    EXPECT_THAT(
        problem_in(OtlpFileOptions{.path = "x", .retry_for = 24h * 8}), HasSubstr("retry_for"));
    asio::io_context io;
    Diagnostics silent({.handler = [](const Diagnostic&) {}});
    EXPECT_EQ(
        make_otlp_file_sink(io.get_executor(), {}, Signal::traces, silent).error(),
        make_error_code(Errc::option_out_of_range));
}

} // namespace
} // namespace weft::testing
