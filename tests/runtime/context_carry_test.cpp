#include <weft/runtime/executor.hpp>

// The context through every kind of asynchronous operation, always with other chains in between.

#include "loop.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/static_thread_pool.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

namespace weft {
namespace {

using testing::run;
using testing::use_task;
using namespace std::chrono_literals;

class ContextCarry : public testing::WithoutFaults {
protected:
    // Four chains at once do `operation` again and again, each inside a span of its own. After every step each must
    // find its own span current, and a span made there is its child.
    template <class Ex, class Operation>
    void expect_carried(const Ex& executor, asio::io_context& io, Operation operation) {
        int finished = 0;
        for (int chain = 0; chain < 4; ++chain) {
            weft::co_spawn(
                executor, one_chain(operation, chain, finished), testing::fail_on_exception);
        }
        run(io);
        EXPECT_EQ(finished, 4);
        EXPECT_FALSE(current_span_context().is_valid()) << "a chain's span stayed on the thread";

        const testing::SpanIndex spans(sink.take());
        unsigned held = 0;
        for (const auto& span : spans.all()) {
            if (span.name == "held") {
                ++held;
                EXPECT_FALSE(span.parent.is_valid());
                continue;
            }
            const auto* parent = spans.find(span.parent);
            ASSERT_NE(parent, nullptr) << span.name;
            EXPECT_EQ(parent->trace_id(), span.trace_id());
            if (span.name == "inner") { EXPECT_EQ(parent->name, "held"); }
        }
        EXPECT_EQ(held, 4U);
        EXPECT_GE(spans.size(), 4U + 4U * turns);
    }
    template <class Operation>
    void expect_carried(Operation operation) {
        asio::io_context io(1);
        expect_carried(io.get_executor(), io, std::move(operation));
    }

    static constexpr unsigned turns = 10;
    testing::SpanSink sink;

private:
    template <class Operation>
    static Task<void> one_chain(Operation operation, int chain, int& finished) {
        Span held("held");
        const auto mine = held.context();
        EXPECT_EQ(current_span_context(), mine);
        for (unsigned turn = 0; turn < turns; ++turn) {
            for (int i = 0; i < chain; ++i) {
                co_await asio::post(use_task);
            } // The chains fall out of step.
            co_await operation();
            EXPECT_EQ(current_span_context(), mine);
            Span inner("inner");
            EXPECT_EQ(inner.context().trace_id, mine.trace_id);
            co_await operation();
            EXPECT_EQ(current_span_context(), inner.context());
        }
        ++finished;
    }
};

TEST_F(ContextCarry, ThroughPost) {
    expect_carried([]() -> Task<void> { co_await asio::post(use_task); });
}

TEST_F(ContextCarry, ThroughDefer) {
    expect_carried([]() -> Task<void> { co_await asio::defer(use_task); });
}

TEST_F(ContextCarry, ThroughDispatch) {
    expect_carried([]() -> Task<void> { co_await asio::dispatch(use_task); });
}

TEST_F(ContextCarry, ThroughADeferredOperation) {
    expect_carried([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        co_await asio::post(executor, asio::deferred);
    });
}

TEST_F(ContextCarry, ThroughAPostToAPlainExecutorOfTheLoop) {
    asio::io_context io(1);
    expect_carried(
        io.get_executor(), io, [&io]() -> Task<void> { co_await asio::post(io, use_task); });
}

TEST_F(ContextCarry, ThroughATimer) {
    expect_carried([]() -> Task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 100us);
        co_await timer.async_wait(asio::deferred);
    });
}

TEST_F(ContextCarry, ThroughATimerOfTheLoopsOwnExecutor) {
    asio::io_context io(1);
    expect_carried(io.get_executor(), io, [&io]() -> Task<void> {
        asio::steady_timer timer(io, 100us);
        co_await timer.async_wait(use_task);
    });
}

TEST_F(ContextCarry, ThroughACancelledTimer) {
    asio::io_context io(1);
    expect_carried(io.get_executor(), io, [&io]() -> Task<void> {
        asio::steady_timer timer(io, 1h);
        asio::post(io, [&timer] { timer.cancel(); });
        boost::system::error_code error;
        co_await timer.async_wait(asio::redirect_error(use_task, error));
        EXPECT_EQ(error, asio::error::operation_aborted);
    });
}

TEST_F(ContextCarry, ThroughUnixSockets) {
    expect_carried([]() -> Task<void> {
        using Socket = asio::local::stream_protocol::socket;
        const auto executor = co_await asio::this_coro::executor;
        Socket left(executor);
        Socket right(executor);
        asio::local::connect_pair(left, right);
        std::array<char, 5> in{};
        co_await asio::async_write(left, asio::buffer("hello", 5), use_task);
        co_await asio::async_read(right, asio::buffer(in), use_task);
        EXPECT_EQ(std::string(in.data(), in.size()), "hello");
    });
}

TEST_F(ContextCarry, ThroughTcpAcceptConnectAndReadThatWaits) {
    using asio::ip::tcp;
    expect_carried([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        tcp::acceptor acceptor(executor, {asio::ip::address_v4::loopback(), 0});
        tcp::socket client(executor);
        co_await client.async_connect(acceptor.local_endpoint(), use_task);
        tcp::socket server = co_await acceptor.async_accept(use_task);
        asio::post(executor, [&client] { asio::write(client, asio::buffer("x", 1)); });
        char in = 0;
        co_await server.async_read_some(asio::buffer(&in, 1), asio::deferred);
        EXPECT_EQ(in, 'x');
        client.close();
        boost::system::error_code error;
        co_await server.async_read_some(
            asio::buffer(&in, 1), asio::redirect_error(use_task, error));
        EXPECT_EQ(error, asio::error::eof);
    });
}

TEST_F(ContextCarry, ThroughPipes) {
    expect_carried([]() -> Task<void> {
        int ends[2] = {-1, -1};
        EXPECT_EQ(pipe(ends), 0);
        const auto executor = co_await asio::this_coro::executor;
        asio::posix::stream_descriptor out(executor, ends[0]);
        asio::posix::stream_descriptor in(executor, ends[1]);
        asio::post(executor, [&in] { asio::write(in, asio::buffer("y", 1)); });
        char byte = 0;
        co_await out.async_read_some(asio::buffer(&byte, 1), use_task);
        EXPECT_EQ(byte, 'y');
    });
}

TEST_F(ContextCarry, ThroughASignalSet) {
    expect_carried([]() -> Task<void> {
        asio::signal_set signals(co_await asio::this_coro::executor, SIGUSR1);
        std::raise(SIGUSR1);
        EXPECT_EQ(co_await signals.async_wait(use_task), SIGUSR1);
    });
}

TEST_F(ContextCarry, ThroughAChannel) {
    expect_carried([]() -> Task<void> {
        using Channel = asio::experimental::channel<Executor, void(boost::system::error_code, int)>;
        const auto executor = co_await asio::this_coro::executor;
        Channel channel(executor, 0);
        asio::post(
            executor, [&channel] { channel.async_send({}, 7, [](boost::system::error_code) {}); });
        EXPECT_EQ(co_await channel.async_receive(use_task), 7);
    });
}

TEST_F(ContextCarry, ThroughAwaitedCoroutines) {
    expect_carried([]() -> Task<void> {
        co_await []() -> Task<void> {
            co_await []() -> Task<void> { co_await asio::post(use_task); }();
        }();
    });
}

TEST_F(ContextCarry, ThroughAPostToAThreadPoolAndBack) {
    asio::thread_pool pool(2);
    asio::io_context io(1);
    const auto loop = std::this_thread::get_id();
    expect_carried(io.get_executor(), io, [&pool, loop]() -> Task<void> {
        co_await asio::post(pool, use_task);
        EXPECT_EQ(std::this_thread::get_id(), loop) << "a coroutine is resumed on its own executor";
    });
    pool.join();
}

TEST_F(ContextCarry, ThroughAChainOnAThreadPoolAndBack) {
    asio::thread_pool pool(2);
    asio::io_context io(1);
    expect_carried(io.get_executor(), io, [&pool]() -> Task<void> {
        const auto mine = current_span_context();
        co_await weft::co_spawn(
            pool,
            [mine]() -> asio::awaitable<void> {
                EXPECT_EQ(current_span_context(), mine);
                Span there("there");
                co_await asio::post(asio::use_awaitable);
                EXPECT_EQ(current_span_context(), there.context());
            },
            use_task);
    });
    pool.join();
}

TEST_F(ContextCarry, ThroughACoroutineThatContinuesOnAnotherExecutorBoundToItsContext) {
    asio::thread_pool pool(2);
    asio::io_context io(1);
    const auto loop = std::this_thread::get_id();
    expect_carried(io.get_executor(), io, [&pool, loop]() -> Task<void> {
        const auto mine = current_span_context();
        co_await asio::post(asio::bind_executor(bind_context(pool.get_executor()), use_task));
        EXPECT_NE(std::this_thread::get_id(), loop);
        EXPECT_EQ(current_span_context(), mine);
        {
            Span there("there");
            EXPECT_EQ(there.context().trace_id, mine.trace_id);
        }
        co_await asio::post(use_task);
        EXPECT_EQ(std::this_thread::get_id(), loop);
    });
    pool.join();
}

// Asio resumes the coroutine on the executor that the token is bound to, and a plain one carries nothing.
TEST_F(ContextCarry, BoundToAPlainExecutorAChainIsOutsideOfItsContextUntilItsNextAwait) {
    asio::io_context io(1);
    expect_carried(io.get_executor(), io, [&io]() -> Task<void> {
        co_await asio::post(asio::bind_executor(io.get_executor(), use_task));
        EXPECT_FALSE(current_span_context().is_valid());
        co_await asio::post(use_task);
        EXPECT_TRUE(current_span_context().is_valid());
    });
}

} // namespace
} // namespace weft
