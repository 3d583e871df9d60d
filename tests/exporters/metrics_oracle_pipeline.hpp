#pragma once
// The way from a reader to the bytes that are posted, and back through the official classes.

#include "metrics_oracle_decode.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/exporters/metric_encoder.hpp>
#include <weft/runtime/record_queue.hpp>
#include <weft/signals/metric_reader.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <cstddef>
#include <cstring>

namespace weft::testing {

struct PipelineOptions {
    std::size_t ring_bytes = std::size_t{1} << 20;
    std::size_t points_max = 4096; ///< Of a record.
    bool by_coroutine = false;
};

/// One collection. Fails the test where points are dropped or their number does not add up.
[[nodiscard]] inline OracleMetrics collect_through_bytes(
    MetricReader& reader, const PipelineOptions& options = {}) {
    RecordQueue ring(options.ring_bytes, 1);
    MetricQueue queue(ring, 64u << 20);
    MetricEncoder encoder(queue, options.points_max);
    BatchBuilder builder(Signal::metrics, {.message = {}, .schema_url = {}});
    if (options.by_coroutine) {
        boost::asio::io_context io;
        auto done = boost::asio::co_spawn(io, reader.collect(encoder), boost::asio::use_future);
        io.run();
        done.get();
    } else {
        reader.collect_now(encoder);
    }
    const auto take = [&] {
        ring.consume([&](std::span<const std::byte> record) {
            RecordHeader header;
            std::memcpy(&header, record.data(), sizeof header);
            builder.add({header, record.subspan(sizeof header)});
            return true;
        });
    };
    take();
    while (!queue.hand_over()) { take(); } // Bound: each turn takes what a whole ring holds.
    take();
    Ledger ledger;
    queue.add_to(ledger);
    EXPECT_EQ(ledger.dropped_total(), 0U);
    EXPECT_EQ(ledger.created, builder.records());
    if (builder.empty()) { return {}; }
    auto metrics = OracleDecoder::decode(builder.finish()->body);
    std::size_t points = 0;
    for (const auto& [key, metric] : metrics) { points += metric.points.size(); }
    EXPECT_EQ(points, ledger.created);
    return metrics;
}

} // namespace weft::testing
