#pragma once
// What a cell of the conformance matrix (docs/context.md) runs on: a loop, two pools, neighbours that must notice
// nothing, and a list of whose child every span has to be.

#include "../loop.hpp"
#include "expectations.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/static_thread_pool.hpp>

#include <atomic>
#include <exception>
#include <functional>
#include <source_location>

namespace matrix {

namespace asio = boost::asio;

class Stage;

/// Where a chain comes from: what its first span is a child of, and its executor without a context.
struct Origin {
    Stage* stage;
    weft::SpanContext parent;
    asio::any_io_executor plain;

    /// Runs `work` soon, serialised with the chain but not in its context, and requires that it sees none.
    void outside(std::function<void()> work) const;
};

/// A span of a chain, current until its scope ends. Threads: the chain's.
class Here {
public:
    explicit Here(const Origin& origin);

    /// Requires that this span is current, and that a span made now is its child.
    void check(std::source_location where = std::source_location::current()) const;
    /// As above without the child.
    void check_current(std::source_location where = std::source_location::current()) const;
    [[nodiscard]] Origin origin() const { return {origin_.stage, span_.context(), origin_.plain}; }
    [[nodiscard]] Stage& stage() const noexcept { return *origin_.stage; }

private:
    Origin origin_;
    weft::Span span_;
};

/// Requires that no span is current: whoever runs here is outside of any chain.
void expect_no_context(std::source_location where = std::source_location::current());

class Stage {
    // First: chains that a failed test leaves behind end into these.
    weft::testing::SpanSink sink_;
    weft::testing::Expectations expected_;

public:
    /// Shape: `threads` run the loop, 1 or 2. Each pool has one thread.
    explicit Stage(int threads, std::size_t queue_bytes = std::size_t{16} << 20);

    asio::io_context io;
    asio::thread_pool pool{1};
    asio::thread_pool other_pool{1};

    /// How often a chain does what its row says: with two threads more often, for them to meet.
    [[nodiscard]] int turns() const noexcept { return threads_ == 1 ? 2 : 8; }

    [[nodiscard]] Origin root() { return root_on(io.get_executor()); }
    [[nodiscard]] Origin root_on(asio::any_io_executor executor) { return {this, {}, executor}; }

    /// A completion handler for a chain: the stage stays open until it has been called. One call a chain.
    [[nodiscard]] auto chain() {
        open_.fetch_add(1, std::memory_order_relaxed); // A counter.
        return Ended{this};
    }

    void expect(const weft::SpanContext& span, const weft::SpanContext& parent) {
        expected_.add(span, parent);
    }

    /// Runs the chains to their end beside neighbours on the same threads, and checks everything.
    void run();

private:
    struct Ended {
        Stage* stage;
        void operator()(const std::exception_ptr& error) const {
            weft::testing::fail_on_exception(error);
            stage->open_.fetch_sub(1, std::memory_order_relaxed); // A counter.
        }
        template <class T>
        void operator()(const std::exception_ptr& error, T&&) const {
            (*this)(error);
        }
    };
    // relaxed: a counter; the neighbours only stop by it.
    [[nodiscard]] bool open() const { return open_.load(std::memory_order_relaxed) > 0; }
    weft::Task<void> rival();
    void watch();

    const int threads_;
    std::atomic<int> open_{0}; // Written by chains on every thread.
    weft::testing::FaultsSince faults_;
};

} // namespace matrix
