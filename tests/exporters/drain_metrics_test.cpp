#include "metrics_fixture.hpp"

#include <weft/testing/random.hpp>

#include <boost/asio/detached.hpp>

#include <atomic>
#include <thread>

// The drain counts points: batches close by them, the receiver rejects them, the ledger adds them up.

namespace weft::testing {
namespace {

TEST_F(MetricsTest, ABatchHoldsSoManyPointsAndNotSoManyRecords) {
    start(
        [&](MetricVisitor& visitor) -> asio::awaitable<void> {
            for (const std::size_t points : {40u, 50u, 20u, 70u, 10u, 30u, 100u, 1u}) {
                hand_out(visitor, points);
            }
            co_return;
        },
        on_demand(), batches_of(100));
    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await flush(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 321u);
    });
    std::vector<std::size_t> sizes;
    for (const auto& request : server.requests()) { sizes.push_back(values_in(request).size()); }
    EXPECT_EQ(sizes, (std::vector<std::size_t>{90, 100, 30, 100, 1}));
    EXPECT_EQ(values_in(server.requests()), values_up_to(321));
}

TEST_F(MetricsTest, CountsThePointsThatTheReceiverRejects) {
    otlp::collector::metrics::v1::ExportMetricsServiceResponse partial;
    partial.mutable_partial_success()->set_rejected_data_points(30);
    server.script(
        {answer(200, {{"Content-Type", "application/x-protobuf"}}, partial.SerializeAsString()),
         answer(400), answer(503), answer(200)});
    start(points_each_time(300), on_demand(), batches_of(100));
    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await flush(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 170u);
        EXPECT_EQ(report.rejected, 30u);
        EXPECT_EQ(report.dropped, 100u);
        EXPECT_EQ(report.pending, 0u);
    });
    EXPECT_EQ(dropped(drain->ledger(), DropReason::rejected_by_status), 100u);
}

TEST_F(MetricsTest, CountsThePointsThatWaitAndThoseInFlight) {
    server.set_default(answer(200).hold());
    start(points_each_time(250), on_demand(), batches_of(100));
    run(io, [&]() -> asio::awaitable<void> {
        asio::co_spawn(io, flush(20s), asio::detached);
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
        co_await settle();
        const auto ledger = drain->ledger();
        EXPECT_EQ(ledger.created, 250u);
        EXPECT_EQ(ledger.in_flight, 100u);
        EXPECT_EQ(ledger.queued, 150u);
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().exported == 250; }));
    });
}

// Goal: the equation holds at any time, read from any thread, whatever becomes of the points; and each number in it is
// right at the end. Method: random collections into a small ring, random answers, each known by its place in the script.
TEST_F(MetricsTest, ItsLedgerBalancesWhateverTheReceiverDoes) {
    auto random = Random::seeded("ItsLedgerBalancesWhateverTheReceiverDoes");
    using Response = otlp::collector::metrics::v1::ExportMetricsServiceResponse;
    struct Planned {
        int status = 200;
        std::uint64_t rejected = 0;
    };
    std::vector<Planned> plan;
    for (int i = 0; i < 3000; ++i) {
        static constexpr int statuses[] = {200, 200, 200, 400, 404, 503, 429};
        plan.push_back({random.pick(statuses), random.one_in(3) ? random.below(150) : 0});
        Response response;
        response.mutable_partial_success()->set_rejected_data_points(
            static_cast<std::int64_t>(plan.back().rejected));
        server.script({answer(
            plan.back().status, {{"Content-Type", "application/x-protobuf"}},
            plan.back().status == 200 ? response.SerializeAsString() : std::string())});
    }
    sink_in_use.retry.max_elapsed = 0ms; // Each request once.
    auto batch = batches_of(100);
    batch.waiting_bytes_max = 8u << 10;
    start(
        [&](MetricVisitor& visitor) -> asio::awaitable<void> {
            for (auto n = random.below(5); n > 0; --n) {
                hand_out(visitor, random.below(random.one_in(5) ? 5000 : 50));
                if (random.one_in(3)) { co_await settle(); }
            }
            if (random.one_in(6)) { throw std::runtime_error("at random"); }
        },
        every(1ms, 3ms), batch, 64u << 10);
    std::atomic<bool> over{false};
    std::thread observer([&] {
        while (!over.load(std::memory_order_relaxed)) { // Only a flag.
            const auto ledger = drain->ledger();
            EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
            if (!ledger.is_balanced()) { return; }
        }
    });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() >= 300; }));
        co_await shutdown(20s);
    });
    over.store(true, std::memory_order_relaxed); // As above.
    observer.join();

    std::uint64_t exported = 0;
    std::uint64_t rejected = 0;
    std::uint64_t refused = 0;
    const auto requests = server.requests();
    ASSERT_LT(requests.size(), plan.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto points = values_in(requests[i]).size();
        const auto no = std::min<std::uint64_t>(plan[i].rejected, points);
        (plan[i].status == 200 ? exported : refused) += points;
        if (plan[i].status == 200) {
            exported -= no;
            rejected += no;
        }
    }
    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.created, handed_out);
    EXPECT_EQ(ledger.exported, exported);
    EXPECT_EQ(ledger.rejected, rejected);
    EXPECT_EQ(
        dropped(ledger, DropReason::rejected_by_status) +
            dropped(ledger, DropReason::retry_exhausted),
        refused);
    EXPECT_GT(rejected, 0u);
    EXPECT_GT(refused, 0u);
    // Nothing arrived twice.
    auto values = values_in(requests);
    std::sort(values.begin(), values.end());
    EXPECT_EQ(std::adjacent_find(values.begin(), values.end()), values.end());
}

} // namespace
} // namespace weft::testing
