// The program itself, as a user starts it: `weft spool`.
#include "child_program.hpp"
#include "decompress.hpp"
#include "spool_fixture.hpp"

#include <weft/testing/json.hpp>
#include <weft/testing/loopback_server.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>

#include <thread>

namespace weft {
namespace {

using testing::answer;
using testing::ChildProgram;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::Json;
using testing::LoopbackServer;
using testing::numbered_batch;
using testing::numbers_from_to;
using testing::records_from_to;
using testing::SpoolTest;
using testing::take_all;

class WeftSpool : public SpoolTest {
protected:
    WeftSpool() : thread_([this] { context_.run(); }) {}
    ~WeftSpool() override {
        context_.stop();
        thread_.join();
    }
    static std::vector<std::string> command(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {WEFT_PROGRAM, "spool"});
        return arguments;
    }
    [[nodiscard]] std::string directory() const { return folder / "spool"; }
    [[nodiscard]] std::string base_url() const { return server.url(""); }
    void make(std::uint64_t count) {
        open();
        append(0, count);
        spool.reset();
    }
    // The numbers of the batches that the server has taken, in order.
    [[nodiscard]] std::vector<std::uint64_t> received() const {
        std::vector<std::uint64_t> numbers;
        for (const auto& request : server.requests()) {
            const auto body = request.header("content-encoding") == "gzip"
                                  ? testing::gunzip(request.body, 1u << 20)
                                  : request.body;
            numbers.push_back(std::strtoull(body.c_str() + 6, nullptr, 10));
            const auto signal = static_cast<Signal>(numbers.back() % 3);
            EXPECT_EQ(request.target, fmt::format("/v1/{}", name(signal)));
            EXPECT_EQ(body, numbered_batch(numbers.back())->body);
        }
        return numbers;
    }

private:
    boost::asio::io_context context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        context_.get_executor()};

protected:
    LoopbackServer server{context_.get_executor()};

private:
    std::thread thread_; // Last: it runs what is above.
};

TEST_F(WeftSpool, ShowsWhatWaitsAndWhoOwnsIt) {
    open();
    append(0, 100);
    spool->acknowledge(spool->next()->id);

    ChildProgram program(command({"inspect", directory()}));
    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_THAT(program.out(), HasSubstr(fmt::format("owner    process {}", ::getpid())));
    EXPECT_THAT(
        program.out(),
        HasSubstr(fmt::format("waiting  99 batches, {} records", records_from_to(1, 100))));
    EXPECT_THAT(program.out(), HasSubstr("traces "));
    EXPECT_THAT(program.out(), HasSubstr(".v1"));

    ChildProgram json(command({"inspect", folder.path(), "--json"}));
    EXPECT_EQ(json.wait(), 0) << json.err();
    const Json parsed("{\"spools\":" + json.out() + "}");
    const auto one = parsed["spools"].at(0);
    EXPECT_EQ(one["directory"].get_string().value(), directory());
    EXPECT_EQ(one["waiting"]["batches"].get_uint64().value(), 99u);
    EXPECT_EQ(one["waiting"]["records"].get_uint64().value(), records_from_to(1, 100));
    EXPECT_EQ(one["waiting_by_signal"]["logs"]["batches"].get_uint64().value(), 33u);
    EXPECT_EQ(one["segments"].get_array().value().size(), segments().size());
    EXPECT_EQ(one["cursor_readable"].get_bool().value(), true);
    EXPECT_EQ(one["corrupt_ranges"].get_uint64().value(), 0u);
    EXPECT_EQ(take_all(*spool).size(), 99u);
}

TEST_F(WeftSpool, SaysWhereThereIsNone) {
    for (const char* what : {"inspect", "replay"}) {
        auto arguments = command({what, folder.path()});
        if (std::string(what) == "replay") { arguments.push_back("--to=" + base_url()); }
        ChildProgram program(arguments);
        EXPECT_EQ(program.wait(), 1);
        EXPECT_THAT(program.err(), HasSubstr("there is no spool in " + folder.path()));
    }
}

TEST_F(WeftSpool, NamesMistakesInItsArguments) {
    const auto mistake = [](std::vector<std::string> arguments) {
        ChildProgram program(command(std::move(arguments)));
        EXPECT_EQ(program.wait(), 2);
        EXPECT_EQ(program.out(), "");
        return program.err();
    };
    EXPECT_THAT(mistake({}), HasSubstr("inspect or replay?"));
    EXPECT_THAT(mistake({"delete"}), HasSubstr("unknown command 'delete'"));
    EXPECT_THAT(mistake({"inspect"}), HasSubstr("no directory given"));
    EXPECT_THAT(mistake({"replay", "x"}), HasSubstr("--to takes its URL"));
    EXPECT_THAT(
        mistake({"replay", "x", "--to", "nowhere"}),
        HasSubstr("--to is 'nowhere': not an absolute http or https URL"));
    EXPECT_THAT(
        mistake({"replay", "x", "--to=http://a", "--give-up-after", "-1"}),
        HasSubstr("0 to 604800"));
    const auto header = mistake({"replay", "x", "--to=http://a", "--header", "Api Key=secret"});
    EXPECT_THAT(header, HasSubstr("--header"));
    EXPECT_EQ(header.find("secret"), std::string::npos);
    ChildProgram help(command({"--help"}));
    EXPECT_EQ(help.wait(), 0);
    EXPECT_THAT(help.out(), HasSubstr("replay"));
}

TEST_F(WeftSpool, SendsAllInOrderAndEmptiesIt) {
    make(60);

    ChildProgram program(command(
        {"replay", directory(), "--to", base_url(), "--header", "Api-Key=k1",
         "--header=X-More=a=b"}));

    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_EQ(received(), numbers_from_to(0, 60));
    EXPECT_EQ(server.requests().front().header("api-key"), "k1");
    EXPECT_EQ(server.requests().front().header("x-more"), "a=b");
    EXPECT_THAT(
        program.out(),
        HasSubstr(fmt::format(
            "sent 60 batches: {} records accepted, 0 rejected", records_from_to(0, 60))));
    EXPECT_THAT(program.out(), HasSubstr("0 batches of 0 records are left"));
    EXPECT_TRUE(segments().empty());
}

TEST_F(WeftSpool, KeepsEverythingFromTheFirstRefusedBatchOn) {
    make(10);
    server.script({answer(200), answer(200), answer(400)});

    ChildProgram program(command({"replay", directory(), "--to", base_url()}));

    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.err(), HasSubstr("--skip-refused"));
    EXPECT_THAT(program.out(), HasSubstr("8 batches"));
    open();
    EXPECT_EQ(take_all(*spool), numbers_from_to(2, 10));
}

TEST_F(WeftSpool, GivesRefusedBatchesUpIfToldTo) {
    make(10);
    server.script({answer(200), answer(400)});

    ChildProgram program(command({"replay", directory(), "--to", base_url(), "--skip-refused"}));

    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_EQ(received(), numbers_from_to(0, 10));
    EXPECT_THAT(program.out(), HasSubstr("2 given up")); // The records of batch 1.
    EXPECT_TRUE(segments().empty());
}

TEST_F(WeftSpool, KeepsEverythingWhenTheReceiverIsAway) {
    make(10);
    server.set_default(testing::hang_up());

    ChildProgram program(
        command({"replay", directory(), "--to", base_url(), "--give-up-after", "0"}));

    EXPECT_EQ(program.wait(), 1);
    open();
    EXPECT_EQ(take_all(*spool), numbers_from_to(0, 10));
}

TEST_F(WeftSpool, StopsOnSigtermAndKeepsWhatWasNotTaken) {
    make(10);
    server.script({answer(200), answer(200), testing::silence()});

    ChildProgram program(command({"replay", directory(), "--to", base_url()}));
    while (server.request_count() < 3) { std::this_thread::yield(); } // Bound: ctest's.
    program.send(SIGTERM);

    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_THAT(program.out(), HasSubstr("sent 2 batches"));
    open();
    EXPECT_EQ(take_all(*spool), numbers_from_to(2, 10));
}

TEST_F(WeftSpool, RefusesToReplayWhatAProgramOwns) {
    open();
    append(0, 3);

    ChildProgram program(command({"replay", directory(), "--to", base_url()}));

    EXPECT_EQ(program.wait(), 1);
    EXPECT_THAT(program.err(), HasSubstr(fmt::format("in use by process {}", ::getpid())));
    EXPECT_THAT(program.out(), HasSubstr("not counting spools that could not be opened: 1"));
    EXPECT_EQ(server.request_count(), 0u);
}

TEST_F(WeftSpool, PrintsABalancedLedger) {
    make(10);
    server.script({answer(200), answer(503)});
    ::setenv("WEFT_LEDGER", "json", 1);
    ChildProgram program(command({"replay", directory(), "--to", base_url(), "--give-up-after=0"}));
    ::unsetenv("WEFT_LEDGER");

    EXPECT_EQ(program.wait(), 1);
    const auto begin = program.err().find("{\"created\"");
    ASSERT_NE(begin, std::string::npos) << program.err();
    const Json ledger(program.err().substr(begin, program.err().find('\n', begin) - begin));
    EXPECT_EQ(ledger["created"].get_uint64().value(), records_from_to(0, 10));
    EXPECT_EQ(ledger["exported"].get_uint64().value(), records_from_to(0, 1));
    EXPECT_EQ(ledger["spooled"].get_uint64().value(), records_from_to(1, 10));
}

} // namespace
} // namespace weft
