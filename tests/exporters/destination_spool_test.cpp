#include "drain_fixture.hpp"

#include <weft/exporters/destination.hpp>
#include <weft/runtime/ring_file.hpp>
#include <weft/testing/random.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

// A destination whose batches wait on disk: whatever becomes of the receiver, the disk and the process, they are sent, in
// order, and every ledger says where they are.

namespace weft::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SpooledTest : public DrainTest {
protected:
    SpooledTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "weft_dest_XXXXXX";
        folder = mkdtemp(pattern.data());
        sending.retry.max_elapsed = 0ms; // One attempt: the spool sees to the rest.
        sending.timeout = 10s;
    }
    ~SpooledTest() override { std::filesystem::remove_all(folder); }

    // A destination before the server, on the spool in the folder.
    DestinationSetup spooled(Sink::TimePoint::duration resend_after = 1ms) {
        SpoolOptions options = spool;
        options.directory = folder / "spool";
        auto opened = Spool::open(options, log);
        EXPECT_TRUE(opened);
        sending.url = {UrlScheme::http, "127.0.0.1", server.port(), "/v1/traces"};
        return {
            .name = "disk",
            .sink = make_sink(sending),
            .waiting_bytes_max = 4096,
            .spool = std::shared_ptr<Spool>(std::move(*opened)),
            .resend_after = std::chrono::duration_cast<std::chrono::milliseconds>(resend_after)};
    }
    void begin(Sink::TimePoint::duration resend_after = 1ms) {
        std::vector<DestinationSetup> destinations;
        destinations.push_back(spooled(resend_after));
        start(batches_of(10), nullptr, std::move(destinations));
        resumed = drain->ledger().created;
    }
    // It has taken what it can, nothing is being sent, and there is more.
    [[nodiscard]] bool is_spool_full() const {
        const auto ledger = drain->ledger();
        return ledger.spooled > 0 && ledger.in_flight == 0 && ledger.queued > 0;
    }
    // The end of this life; the next begin() is another's.
    FlushReport end(Clock::duration within) {
        FlushReport report;
        run(io, [&]() -> asio::awaitable<void> {
            report = co_await shutdown(within);
            EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
        });
        TearDown();
        drain.reset();
        first_number += pushed;
        pushed = 0;
        resumed = 0;
        drain_ended = false;
        make_queue(1u << 20, 1);
        return report;
    }
    void flush_all() {
        run(io, [&]() -> asio::awaitable<void> {
            const auto report = co_await flush(10s);
            EXPECT_TRUE(report.complete);
            EXPECT_EQ(report.spooled, 0u);
        });
    }
    [[nodiscard]] std::vector<std::filesystem::path> files() const {
        std::vector<std::filesystem::path> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
            if (entry.is_regular_file()) { found.push_back(entry.path()); }
        }
        return found;
    }

    std::filesystem::path folder;
    SpoolOptions spool{};
    OtlpHttpOptions sending = sink_options();
};

TEST_F(SpooledTest, SendsInOrderAndLeavesNothingBehind) {
    begin();
    push_spans(100);
    flush_all();
    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(100));
    EXPECT_EQ(drain->ledger().exported, 100u);
    end(1s);
    begin();
    EXPECT_EQ(resumed, 0u);
}

TEST_F(SpooledTest, CountsWhatWaitsOnDisk) {
    server.set_default(silence());
    begin();
    push_spans(30);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().spooled == 20; }));
    });
    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.in_flight, 10u);
    EXPECT_EQ(ledger.queued, 0u);
    EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
    EXPECT_THAT(files(), ::testing::Not(IsEmpty()));
}

TEST_F(SpooledTest, LeavesToTheNextStartWhatAShutdownCannotSend) {
    server.set_default(silence());
    begin();
    push_spans(35);
    const auto report = end(100ms);
    EXPECT_FALSE(report.complete);
    EXPECT_EQ(report.dropped, 0u);
    EXPECT_EQ(report.spooled, 35u);

    const auto before = server.request_count();
    server.set_default(answer(200));
    begin();
    EXPECT_EQ(resumed, 35u);
    push_spans(10);
    flush_all();
    auto requests = server.requests();
    requests.erase(requests.begin(), requests.begin() + static_cast<std::ptrdiff_t>(before));
    EXPECT_EQ(numbers_in(requests), numbers_up_to(45));
    EXPECT_EQ(drain->ledger().created, 45u);
    EXPECT_EQ(drain->ledger().exported, 45u);
}

// Its deadline is over before anything was looked at.
TEST_F(SpooledTest, AShutdownPutsWhatIsStillInTheRingOnDisk) {
    begin();
    push_spans(25);
    const auto report = end(0ms);
    EXPECT_EQ(report.spooled, 25u);
    begin();
    flush_all();
    const auto numbers = numbers_in(server.requests());
    EXPECT_EQ(std::set<std::uint64_t>(numbers.begin(), numbers.end()).size(), 25u);
}

TEST_F(SpooledTest, KeepsABatchWhoseRetriesAreExhaustedAndSendsItAgain) {
    for (int i = 0; i < 20; ++i) { server.script({answer(503)}); }
    begin();
    push_spans(30);
    flush_all();
    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.dropped_total(), 0u) << ledger.to_json();
    EXPECT_EQ(ledger.exported, 30u);
    std::vector<std::uint64_t> accepted;
    const auto requests = server.requests();
    for (std::size_t i = 20; i < requests.size(); ++i) {
        const auto numbers = numbers_in(requests[i]);
        accepted.insert(accepted.end(), numbers.begin(), numbers.end());
    }
    EXPECT_EQ(accepted, numbers_up_to(30)) << "the order of old";
    EXPECT_EQ(numbers_in(requests[0]), numbers_up_to(10)) << "also with several under way";
}

TEST_F(SpooledTest, KeepsTheOrderWithSeveralConnections) {
    sending.connections = 4;
    for (int i = 0; i < 10; ++i) { server.script({answer(503)}); }
    begin();
    push_spans(200);
    flush_all();
    auto numbers = numbers_in(server.requests());
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    EXPECT_EQ(numbers, numbers_up_to(200));
    EXPECT_EQ(drain->ledger().exported, 200u);
}

TEST_F(SpooledTest, PausesBetweenSendsUnlessAFlushAsks) {
    server.set_default(answer(503));
    begin(1h);
    push_spans(30);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().spooled == 30; }));
        co_await settle();
        EXPECT_EQ(server.request_count(), 1u);
        EXPECT_FALSE((co_await flush(100ms)).complete);
        EXPECT_EQ(server.request_count(), 2u);
        server.set_default(answer(200));
        EXPECT_TRUE((co_await flush(5s)).complete);
    });
    EXPECT_EQ(drain->ledger().exported, 30u);
}

TEST_F(SpooledTest, ForgetsWhatIsRefusedForGood) {
    server.script({answer(400), answer(200)});
    begin();
    push_spans(20);
    flush_all();
    EXPECT_EQ(dropped(drain->ledger(), DropReason::rejected_by_status), 10u);
    EXPECT_EQ(drain->ledger().exported, 10u);
    end(1s);
    begin();
    EXPECT_EQ(resumed, 0u);
}

// A mebibyte of disk, 4 KiB of memory, then the ring; when the receiver is back, all of it comes, in order.
TEST_F(SpooledTest, WithoutRoomOnDiskWaitsInMemoryInItsTurn) {
    spool.bytes_max = 1u << 20;
    make_queue(8u << 20, 1);
    server.set_default(answer(503));
    begin(1h);
    push_spans(1200, 1500);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return is_spool_full(); }));
        co_await settle();
        const auto ledger = drain->ledger();
        EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
        EXPECT_GT(ledger.queued, 100u) << ledger.to_json();
        const auto failed = server.request_count();
        server.set_default(answer(200));
        EXPECT_TRUE((co_await flush(10s)).complete);
        auto requests = server.requests();
        requests.erase(requests.begin(), requests.begin() + static_cast<std::ptrdiff_t>(failed));
        EXPECT_EQ(numbers_in(requests), numbers_up_to(1200));
    });
    EXPECT_EQ(drain->ledger().exported, 1200u) << drain->ledger().to_json();
    EXPECT_EQ(refused.load(), 0u);
}

TEST_F(SpooledTest, CountsWhatTheSpoolMadeRoomWith) {
    spool.bytes_max = 1u << 20;
    spool.when_full = WhenFull::drop_oldest;
    make_queue(8u << 20, 1);
    server.set_default(answer(503));
    begin(1h);
    push_spans(2000, 1500);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] {
            return drain->ledger().queued == 0 &&
                   dropped(drain->ledger(), DropReason::spool_full) > 0;
        }));
    });
    auto ledger = drain->ledger();
    EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
    EXPECT_GT(ledger.spooled, 100u);
    server.set_default(answer(200));
    flush_all();
    ledger = drain->ledger();
    EXPECT_EQ(ledger.exported + dropped(ledger, DropReason::spool_full), 2000u);
    EXPECT_EQ(numbers_in(server.requests()).back(), 1999u);
}

// What a full spool refuses at the end stays in a durable ring; both are "spooled", and neither hides the other.
TEST_F(SpooledTest, BesideADurableRingAFullOneLeavesTheRestToIt) {
    spool.bytes_max = 1u << 20;
    make_queue(8u << 20, 1);
    queue->make_durable(std::make_unique<RingFile>(
        RingFile::Setup{.directory = folder / "rings", .ring_bytes = 8u << 20, .service = "test"}));
    queue->divert_to_file();
    server.set_default(answer(503));
    begin(1h);
    push_spans(1200, 1500);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return is_spool_full(); }));
        const auto report = co_await shutdown(100ms);
        EXPECT_EQ(report.dropped, 0u);
        EXPECT_EQ(report.spooled, 1200u);
        EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
    });
    const auto ledger = drain->ledger();
    EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
    EXPECT_EQ(ledger.spooled, 1200u) << ledger.to_json();
}

// A batch that was being sent when the spool made room with its copy has none on disk any more.
TEST_F(SpooledTest, CallsNothingSpooledThatOnlyMemoryHas) {
    spool.bytes_max = 1u << 20;
    spool.when_full = WhenFull::drop_oldest;
    make_queue(8u << 20, 1);
    server.set_default(silence());
    begin(1h);
    push_spans(2000, 1500);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] {
            return drain->ledger().queued == 0 &&
                   dropped(drain->ledger(), DropReason::spool_full) > 0;
        }));
        (void)co_await shutdown(50ms);
        EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
    });
    const auto ledger = drain->ledger();
    EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
    TearDown();
    drain.reset(); // Gives up the spool, whose folder another may look at now.
    SpoolOptions options = spool;
    options.directory = folder / "spool";
    auto left = Spool::open(options, log);
    ASSERT_TRUE(left);
    EXPECT_EQ((*left)->counts().resumed.records, ledger.spooled);
}

TEST_F(SpooledTest, OnADiskThatFailsGoesOnFromMemory) {
    begin();
    // No file of this process may grow: every write to the spool fails.
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit none{0, before.rlim_max};
    auto* const old = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    push_spans(100);
    flush_all();
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(100));
    EXPECT_EQ(drain->ledger().exported, 100u);
}

TEST_F(SpooledTest, LosesNothingToAKill) {
    server.set_default(silence());
    // Nobody runs this process's loop meanwhile: the child connects and is not answered.
    const pid_t child = fork();
    if (child == 0) {
        asio::io_context loop{1};
        SpoolOptions options;
        options.directory = folder / "spool";
        auto opened = Spool::open(options, log);
        auto sink = OtlpHttpSink::create(loop.get_executor(), sink_options(), log);
        if (!opened || !sink) { _exit(1); }
        std::vector<DestinationSetup> destinations;
        destinations.push_back(
            {.name = "disk",
             .sink = std::shared_ptr<Sink>(std::move(*sink)),
             .spool = std::shared_ptr<Spool>(std::move(*opened))});
        RecordQueue ring(1u << 20, 1);
        Drain doomed(
            {.executor = loop.get_executor(),
             .signal = Signal::traces,
             .queue = ring,
             .resource = {},
             .batch = batches_of(10),
             .producer_counts = {},
             .housekeeping = {},
             .log = log,
             .destinations = std::move(destinations)});
        asio::co_spawn(loop, doomed.run(), [](const std::exception_ptr&) {});
        for (std::uint64_t i = 0; i < 100; ++i) { (void)push(ring, span_record(i)); }
        while (doomed.ledger().queued != 0) { loop.run_one_for(10ms); }
        ::kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;

    server.close_connections();
    server.set_default(answer(200));
    run(io, [&]() -> asio::awaitable<void> { co_await settle(); });
    const auto before = server.request_count();
    begin();
    EXPECT_EQ(resumed, 100u);
    flush_all();
    auto requests = server.requests();
    requests.erase(requests.begin(), requests.begin() + static_cast<std::ptrdiff_t>(before));
    EXPECT_EQ(numbers_in(requests), numbers_up_to(100));
}

TEST_F(SpooledTest, CountsWhatWasDestroyedOnDisk) {
    server.set_default(answer(503));
    begin();
    push_spans(100, 200);
    end(50ms);
    for (const auto& path : files()) {
        if (std::filesystem::file_size(path) < 4096) { continue; }
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
        file << std::string(64, '\xff');
    }
    server.set_default(answer(200));
    begin();
    EXPECT_EQ(resumed, 100u);
    flush_all();
    const auto ledger = drain->ledger();
    EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
    EXPECT_GT(dropped(ledger, DropReason::spool_corrupt), 0u) << ledger.to_json();
    EXPECT_EQ(ledger.exported + dropped(ledger, DropReason::spool_corrupt), 100u);
}

TEST_F(SpooledTest, BesideALiveOneLosesNothingAndTakesNothing) {
    LoopbackServer live{io.get_executor()};
    server.set_default(answer(503));
    auto options = sink_options();
    options.url.port = live.port();
    std::vector<DestinationSetup> others;
    others.push_back(spooled());
    start(batches_of(10), make_sink(options), std::move(others));
    run(io, [&]() -> asio::awaitable<void> {
        for (std::size_t i = 0; i < 50; ++i) {
            push_spans(10, 100);
            EXPECT_TRUE(co_await eventually([&] { return live.request_count() == i + 1; }));
        }
        const auto dead = drain->ledger(1);
        EXPECT_EQ(dead.dropped_total(), 0u) << dead.to_json();
        EXPECT_EQ(dead.spooled + dead.in_flight, 500u) << dead.to_json();
        server.set_default(answer(200));
        EXPECT_TRUE((co_await flush(10s)).complete);
    });
    EXPECT_EQ(drain->ledger(1).exported, 500u);
    EXPECT_EQ(numbers_in(live.requests()), numbers_up_to(500));
}

// Goal: over several lives, with a receiver that does whatever it likes, every span is accepted or was refused for good, and
// the ledger balances after every step. Method: random answers, pushes, flushes and restarts.
TEST_F(SpooledTest, LosesNothingOverManyLivesWhateverTheReceiverDoes) {
    auto random = Random::seeded("LosesNothingOverManyLives");
    sending.connections = 2;
    sending.timeout = 20ms;
    std::uint64_t left = 0; // On disk at the end of the life before.
    const auto check = [&] {
        const auto ledger = drain->ledger();
        EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
        EXPECT_EQ(ledger.dropped_total(), dropped(ledger, DropReason::rejected_by_status))
            << ledger.to_json();
        return ledger;
    };
    for (int life = 0; life < 8; ++life) {
        begin();
        check();
        EXPECT_GE(resumed, left) << "and what was settled before its elders may come twice";
        for (int step = 0; step < 12; ++step) {
            switch (random.below(6)) {
            case 0:
                server.script({answer(503)});
                break;
            case 1:
                server.script({hang_up()});
                break;
            case 2:
                server.script({reset(), answer(429)});
                break;
            case 3:
                server.script({silence()});
                break;
            case 4:
                server.script({answer(400)});
                break;
            default:
                break;
            }
            push_spans(random.below(40), random.below(300));
            run(io, [&]() -> asio::awaitable<void> {
                co_await flush(std::chrono::milliseconds(random.below(15)));
            });
            check();
        }
        if (life == 7) { flush_all(); }
        Ledger last;
        run(io, [&]() -> asio::awaitable<void> {
            co_await shutdown(std::chrono::milliseconds(random.below(10)));
            EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
        });
        last = check();
        left = last.spooled;
        if (life == 7) { EXPECT_EQ(last.spooled, 0u); }
        end(0ms);
    }
    auto numbers = numbers_in(server.requests());
    const std::set<std::uint64_t> seen(numbers.begin(), numbers.end());
    EXPECT_EQ(seen.size(), first_number) << "each has been sent at least once";
}

} // namespace
} // namespace weft::testing
