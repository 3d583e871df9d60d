#include "../runtime/loop.hpp"

#include <weft/runtime/spawn.hpp>
#include <weft/signals/open_spans.hpp>
#include <weft/signals/traced.hpp>
#include <weft/testing/span_sink.hpp>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

// The list is read while spans open, change and close: what is listed is always one span's, as it was.

namespace weft::testing {
namespace {

constexpr int turns = 2000;
constexpr std::size_t listed_min = 5000;

// A span's identity and name, told from one number, so that a mixture of two shows.
TraceContext parent_for(std::uint64_t number) {
    TraceContext parent;
    for (std::size_t i = 0; i < 8; ++i) {
        const auto byte = static_cast<std::uint8_t>(number >> (8 * i));
        parent.span.trace_id.bytes[i] = parent.span.trace_id.bytes[i + 8] = byte;
        parent.span.span_id.bytes[i] = byte;
    }
    parent.span.trace_id.bytes[15] = parent.span.span_id.bytes[7] = 1; // Never all zero.
    parent.span.flags = trace_flags::sampled;
    return parent;
}
std::string name_for(std::uint64_t number) {
    return std::to_string(number) + std::string(number % 50, 'x') + std::to_string(number);
}

void check(const OpenSpan& span) {
    const auto x = span.name.find('x'); // Without one the name is the number twice.
    const auto number =
        std::stoull(span.name.substr(0, x != std::string::npos ? x : span.name.size() / 2));
    EXPECT_EQ(span.name, name_for(number));
    const auto parent = parent_for(number);
    EXPECT_EQ(span.trace_id, parent.span.trace_id) << span.name;
    EXPECT_EQ(span.parent_span_id, parent.span.span_id) << span.name;
    EXPECT_EQ(span.kind, number % 2 == 0 ? SpanKind::internal : SpanKind::server) << span.name;
}

TEST(OpenSpansThreads, AreEachAConsistentPictureWhileTheirOwnersWork) {
    SpanSink sink({.queue_bytes = std::size_t{64} << 10}); // Full soon: nobody reads it.
    std::atomic<bool> done{false};                         // Written by the lister, read by owners.
    std::vector<std::thread> owners;
    for (std::uint64_t thread = 0; thread < 2; ++thread) {
        owners.emplace_back([&, thread] {
            // relaxed: a flag; nothing is ordered by it.
            for (std::uint64_t i = 0; !done.load(std::memory_order_relaxed); ++i) {
                const std::uint64_t number = 1000 + 4 * i + thread;
                const std::uint64_t other = number + 2;
                const auto kind = number % 2 == 0 ? SpanKind::internal : SpanKind::server;
                Span outer(name_for(number), {}, {.kind = kind, .parent = parent_for(number)});
                Span inner(name_for(other), {}, {.kind = kind, .parent = parent_for(other)});
                if (i % 3 == 0) { // To what it is called already.
                    outer.set_attribute("key", "value");
                    outer.update_name(name_for(number));
                }
            }
        });
    }
    std::size_t listed = 0;
    const auto end = std::chrono::steady_clock::now() + patience;
    while (listed < listed_min && std::chrono::steady_clock::now() < end) {
        std::set<SpanId> ids;
        for (const auto& span : open_spans()) {
            // Left empty where it changed all the while.
            if (!span.name.empty()) { check(span); }
            EXPECT_TRUE(ids.insert(span.span_id).second) << "listed twice: " << span.name;
            ++listed;
        }
    }
    done.store(true, std::memory_order_relaxed); // As above.
    for (auto& owner : owners) { owner.join(); }
    EXPECT_TRUE(open_spans().empty());
    EXPECT_GE(listed, listed_min);
}

TEST(OpenSpansThreads, AreFoundOnceInEachListWhileTheyStayOpen) {
    SpanSink sink({.queue_bytes = std::size_t{64} << 10});
    std::vector<Span> stay;
    for (int i = 0; i < 50; ++i) { stay.push_back(Span::detached(Tracer(), "stays")); }
    std::atomic<bool> done{false}; // Written by the owner, read by the lister.
    std::thread owner([&] {
        for (int i = 0; i < turns; ++i) {
            const Span one("passes");
            const Span two("passes");
        }
        done.store(true, std::memory_order_release); // Ends the lister's loop.
    });
    do {
        std::size_t found = 0;
        for (const auto& span : open_spans()) { found += span.name == "stays" ? 1U : 0U; }
        EXPECT_EQ(found, stay.size());
    } while (!done.load(std::memory_order_acquire)); // As above.
    owner.join();
}

TEST(OpenSpansThreads, OfChainsAreListedWhileTheyMoveBetweenThreads) {
    SpanSink sink({.queue_bytes = std::size_t{64} << 10});
    asio::io_context io(2);
    std::atomic<int> at_work{8}; // Written by chains, read by the lister.
    for (int chain = 0; chain < 8; ++chain) {
        weft::co_spawn(
            io,
            [&at_work]() -> Task<void> {
                for (int i = 0; i < turns / 20; ++i) {
                    const Span outer("outer");
                    co_await asio::post(weft::traced("post", use_task));
                    const Span inner("inner");
                    co_await yield();
                }
                at_work.fetch_sub(1, std::memory_order_release); // Ends the lister's loop.
            },
            fail_on_exception);
    }
    std::thread lister([&] {
        while (at_work.load(std::memory_order_acquire) > 0) { // As above.
            for (const auto& span : open_spans()) {
                EXPECT_TRUE(span.name == "outer" || span.name == "inner" || span.name == "post")
                    << span.name;
                EXPECT_TRUE(span.awaits.empty() || span.awaits == "post") << span.awaits;
                EXPECT_NE(span.state, OpenSpanState::thread);
            }
        }
    });
    run_on_threads(io, 2);
    lister.join();
    EXPECT_TRUE(open_spans().empty());
}

} // namespace
} // namespace weft::testing
