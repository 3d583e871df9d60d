#include "../support/counted_new.hpp"
#include "metric_model.hpp"

#include <weft/exporters/metric_encoder.hpp>
#include <weft/runtime/record.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

// What the encoder writes, read back by classes that were generated from the schema. They write fields in the order of
// their numbers as we do, so that equal messages are equal bytes, also where a NaN is not equal to itself.

namespace weft::testing {
namespace {

struct Encoded {
    RecordHeader header;
    std::string body;
};

struct Encoding {
    std::vector<Encoded> records;
    Ledger ledger;
};

std::vector<Encoded> take(RecordQueue& ring) {
    std::vector<Encoded> records;
    ring.consume([&](std::span<const std::byte> payload) {
        auto& record = records.emplace_back();
        std::memcpy(&record.header, payload.data(), sizeof record.header);
        const auto body = payload.subspan(sizeof record.header);
        record.body.assign(reinterpret_cast<const char*>(body.data()), body.size());
        EXPECT_LE(payload.size(), ring.record_max());
        return true;
    });
    return records;
}

Ledger ledger_of(const MetricQueue& queue) {
    Ledger ledger;
    queue.add_to(ledger);
    return ledger;
}

Encoding encode(
    const std::vector<ModelStream>& streams, std::size_t points_max = 1u << 20,
    std::size_t ring_bytes = 64u << 20) {
    RecordQueue ring(ring_bytes, 1);
    MetricQueue queue(ring, 64u << 20);
    MetricEncoder encoder(queue, points_max);
    for (const auto& stream : streams) { visit(encoder, stream); }
    Encoding encoding{take(ring), {}};
    while (!queue.hand_over()) {
        for (auto& record : take(ring)) { encoding.records.push_back(std::move(record)); }
    }
    for (auto& record : take(ring)) { encoding.records.push_back(std::move(record)); }
    encoding.ledger = ledger_of(queue);
    return encoding;
}

template <class Schema>
typename Schema::Metric metric_of(const Encoded& record) {
    typename Schema::ScopeMetrics scope;
    EXPECT_TRUE(scope.ParseFromString(record.body));
    EXPECT_EQ(scope.metrics_size(), 1);
    EXPECT_EQ(scope.SerializeAsString(), record.body) << "a field is unknown, doubled or misplaced";
    return scope.metrics_size() == 1 ? scope.metrics(0) : typename Schema::Metric();
}

ModelStream counter(std::string name, std::size_t points) {
    ModelStream stream;
    stream.name = std::move(name);
    stream.is_monotonic = true;
    for (std::size_t i = 0; i < points; ++i) {
        auto& point = stream.points.emplace_back();
        point.times = {1, 2};
        point.value = MetricNumber::of(static_cast<std::int64_t>(i));
    }
    return stream;
}

template <class Schema>
class MetricEncoderTest : public ::testing::Test {};
#ifdef WEFT_HAVE_OTLP_ORACLE
using Schemas = ::testing::Types<OurMetrics, OfficialMetrics>;
#else
using Schemas = ::testing::Types<OurMetrics>;
#endif
TYPED_TEST_SUITE(MetricEncoderTest, Schemas);

// Goal: every field of every kind, byte for byte. Method: random streams, encoded by us and by the schema's classes.
TYPED_TEST(MetricEncoderTest, WritesWhatTheSchemasOwnClassesWrite) {
    auto random = Random::seeded("WritesWhatTheSchemasOwnClassesWrite");
    RandomMetrics metrics(random);
    std::size_t kinds[4] = {};
    for (int round = 0; round < 1500; ++round) {
        const auto stream = metrics.stream(random.between(1, 4));
        ++kinds[static_cast<std::size_t>(stream.kind)];

        const auto [records, ledger] = encode({stream});

        ASSERT_EQ(records.size(), 1u);
        EXPECT_EQ(records[0].header.scope, stream.scope);
        EXPECT_EQ(records[0].header.items, stream.points.size());
        EXPECT_EQ(records[0].header.end_unix_ns, stream.points.back().times.time_unix_ns);
        ASSERT_EQ(
            metric_of<TypeParam>(records[0]).SerializeAsString(),
            expected<TypeParam>(stream).SerializeAsString())
            << "round " << round;
        EXPECT_EQ(ledger.created, stream.points.size());
    }
    for (const auto kind : kinds) { EXPECT_GT(kind, 100u); }
}

// Goal: each point is in exactly one record, in order, and no record is over a limit. Method: random limits; the parts
// are compared with the same stretches of the model.
TYPED_TEST(MetricEncoderTest, SplitsWithoutLosingOrDoublingAPoint) {
    auto random = Random::seeded("SplitsWithoutLosingOrDoublingAPoint");
    RandomMetrics metrics(random);
    std::size_t split = 0;
    std::size_t too_large = 0;
    for (int round = 0; round < 150; ++round) {
        std::vector<ModelStream> streams;
        std::size_t points = 0;
        for (auto n = random.between(1, 4); n > 0; --n) {
            streams.push_back(metrics.stream(random.below(60)));
            points += streams.back().points.size();
        }
        const std::size_t points_max = random.one_in(2) ? random.between(1, 20) : 1000;
        const std::size_t ring_bytes = std::size_t{1} << random.between(13, 22);

        const auto [records, ledger] = encode(streams, points_max, ring_bytes);

        const auto dropped = ledger.dropped[static_cast<std::size_t>(DropReason::record_too_large)];
        EXPECT_EQ(ledger.created, points);
        EXPECT_EQ(ledger.dropped_total(), dropped);
        too_large += dropped;
        std::size_t in_records = 0;
        for (const auto& record : records) {
            EXPECT_LE(record.header.items, points_max);
            EXPECT_EQ(points_in(metric_of<TypeParam>(record)), record.header.items);
            in_records += record.header.items;
        }
        EXPECT_EQ(in_records + dropped, points);
        split += records.size() > streams.size();
        if (dropped != 0) { continue; } // Which ones is told elsewhere.
        auto record = records.begin();
        for (const auto& stream : streams) {
            for (std::size_t first = 0; first < stream.points.size(); ++record) {
                ASSERT_NE(record, records.end());
                const auto last = first + record->header.items;
                ASSERT_EQ(
                    metric_of<TypeParam>(*record).SerializeAsString(),
                    expected<TypeParam>(stream, first, last).SerializeAsString());
                first = last;
            }
        }
        EXPECT_EQ(record, records.end());
    }
    EXPECT_GT(split, 20u) << "the test has split nothing";
    EXPECT_GT(too_large, 0u) << "no point was ever too large";
}

TYPED_TEST(MetricEncoderTest, RepairsTextThatReceiversWouldRefuse) {
    auto stream = counter("name", 1);
    stream.description = "caf\xE9 \xF0\x9F\x98 end";

    const auto records = encode({stream}).records;

    stream.description = "caf\xEF\xBF\xBD \xEF\xBF\xBD end";
    EXPECT_EQ(
        metric_of<TypeParam>(records.at(0)).SerializeAsString(),
        expected<TypeParam>(stream).SerializeAsString());
}

TEST(MetricEncoder, FillsARecordToItsLastByte) {
    RecordQueue ring(16u << 10, 1);
    const auto max = ring.record_max();
    // The least difference that a longer text makes: one byte.
    std::size_t whole = 0;
    for (std::size_t text = max - 120; text < max; ++text) {
        auto stream = counter("n", 1);
        stream.description = std::string(text, 'd');
        const auto [records, ledger] = encode({stream}, 10, 16u << 10);
        if (records.empty()) {
            EXPECT_EQ(ledger.dropped[static_cast<std::size_t>(DropReason::record_too_large)], 1u);
        } else {
            whole = sizeof(RecordHeader) + records[0].body.size();
        }
    }
    EXPECT_LE(whole, max);
    EXPECT_GE(whole + 8, max) << "room for lengths that turned out shorter, and for flags";
}

TEST(MetricEncoder, DropsAndCountsThePointThatIsTooLargeAlone) {
    auto stream = counter("n", 5);
    OurMetrics::NumberDataPoint attributes;
    attributes.add_attributes()->set_key(std::string(5000, 'k'));
    stream.points[2].series.attributes = attributes.SerializeAsString();

    const auto [records, ledger] = encode({stream}, 10, 16u << 10);

    stream.points.erase(stream.points.begin() + 2);
    ASSERT_EQ(records.size(), 2u) << "what came before it went ahead";
    EXPECT_EQ(
        metric_of<OurMetrics>(records[0]).SerializeAsString(),
        expected<OurMetrics>(stream, 0, 2).SerializeAsString());
    EXPECT_EQ(
        metric_of<OurMetrics>(records[1]).SerializeAsString(),
        expected<OurMetrics>(stream, 2).SerializeAsString());
    EXPECT_EQ(ledger.created, 5u);
    EXPECT_EQ(ledger.dropped[static_cast<std::size_t>(DropReason::record_too_large)], 1u);
}

TEST(MetricEncoder, DropsAndCountsAllPointsWhoseTextsLeaveNoRoom) {
    for (const std::size_t size : {2000u, 2040u, 5000u}) {
        auto bad = counter("bad", 3);
        bad.description = std::string(size, 'd');
        const auto [records, ledger] = encode({bad, counter("good", 2)}, 10, 16u << 10);
        ASSERT_EQ(records.size(), 1u) << size;
        EXPECT_EQ(metric_of<OurMetrics>(records[0]).name(), "good");
        EXPECT_EQ(ledger.created, 5u);
        EXPECT_EQ(ledger.dropped[static_cast<std::size_t>(DropReason::record_too_large)], 3u);
    }
}

TEST(MetricEncoder, WritesNothingForAStreamWithoutPoints) {
    EXPECT_TRUE(encode({counter("empty", 0)}).records.empty());
}

TEST(MetricEncoder, HandsOverWhatACollectionLeftOpen) {
    RecordQueue ring(1u << 20, 1);
    MetricQueue queue(ring, 1u << 20);
    MetricEncoder encoder(queue, 100);
    const auto half = [&](const ModelStream& stream) { // No end().
        encoder.begin(stream.view());
        for (const auto& p : stream.points) { encoder.number({p.series, p.times, p.value}); }
    };
    half(counter("first", 2));
    encoder.finish();
    encoder.finish();
    half(counter("second", 3));
    visit(encoder, counter("third", 1));

    const auto records = take(ring);

    ASSERT_EQ(records.size(), 3u);
    EXPECT_EQ(metric_of<OurMetrics>(records[0]).sum().data_points_size(), 2);
    EXPECT_EQ(metric_of<OurMetrics>(records[1]).sum().data_points_size(), 3);
    EXPECT_EQ(metric_of<OurMetrics>(records[2]).name(), "third");
}

TEST(MetricEncoder, AllocatesNothingForAPoint) {
    auto random = Random::seeded("AllocatesNothingForAPoint");
    RandomMetrics metrics(random);
    std::vector<ModelStream> streams;
    for (int i = 0; i < 40; ++i) { streams.push_back(metrics.stream(50)); }
    RecordQueue ring(64u << 20, 1);
    MetricQueue queue(ring, 1u << 20);
    MetricEncoder encoder(queue, 512);
    for (const auto& stream : streams) { visit(encoder, stream); } // Grows the buffer for texts.

    std::uint64_t in_points = 0;
    for (const auto& stream : streams) {
        auto one = stream;
        one.points.clear();
        visit(encoder, one);
        const auto alone = allocations();
        visit(encoder, one);
        const auto of_texts = allocations() - alone;
        const auto before = allocations();
        visit(encoder, stream);
        in_points += allocations() - before - of_texts;
    }
    EXPECT_EQ(in_points, 0u);
}

} // namespace
} // namespace weft::testing
