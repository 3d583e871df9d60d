// Question: what does carrying the context cost a coroutine, and does it arrive? Goal: `co_await post` on our executor
// against Asio's own, and the children of 100 interleaved coroutines. Non-goal: what spans cost (spans.cpp).
#include "cases.hpp"

#include <weft/runtime/operators.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>

namespace weft::bench {
namespace {

template <class Ex>
asio::awaitable<void, Ex> post_many(std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) {
        co_await asio::post(asio::use_awaitable_t<Ex>{});
    }
}

// The same with an executor named, which makes Asio go through it twice per operation.
template <class Ex>
asio::awaitable<void, Ex> post_many_to_executor(std::uint64_t iterations) {
    const Ex executor = co_await asio::this_coro::executor;
    for (std::uint64_t i = 0; i < iterations; ++i) {
        co_await asio::post(executor, asio::use_awaitable_t<Ex>{});
    }
}

template <class Start>
void run(Start&& start) {
    asio::io_context context(1);
    std::exception_ptr failure;
    start(context, [&failure](const std::exception_ptr& thrown) { failure = thrown; });
    context.run();
    if (failure) { std::rethrow_exception(failure); }
}

using Native = asio::io_context::executor_type;

// Lifetime: `right` outlives the io_context's run.
Task<void> serve_one(int& right) {
    Span root("request", {}, {.parent = SpanParent::root()});
    for (int i = 0; i < shape::children_each; ++i) {
        co_await asio::post(asio::use_awaitable_t<Executor>{});
        const Span child("child");
        if (child.context().trace_id == root.context().trace_id) { ++right; }
    }
}

double children_in_right_trace() {
    static detail::TraceProvider provider(Sampler::always_on(), SpanLimits{}, 4u << 20, 1);
    // release: what Runtime does when it becomes the default.
    detail::default_provider.store(&provider, std::memory_order_release);
    int right = 0;
    asio::io_context context(1);
    std::exception_ptr failure;
    for (int i = 0; i < shape::coroutine_count; ++i) {
        co_spawn(context, serve_one(right), [&failure](const std::exception_ptr& thrown) {
            if (thrown) { failure = thrown; }
        });
    }
    context.run();
    provider.queue.consume([](std::span<const std::byte>) { return true; });
    if (failure) { std::rethrow_exception(failure); }
    return right;
}

} // namespace

void add_coroutine_cases(Suite& suite) {
    suite.add(
        "co_await_post", "ns",
        [](std::uint64_t n) {
            run([&](auto& context, auto done) {
                asio::co_spawn(context.get_executor(), post_many<Native>(n), done);
            });
        },
        {.library = "asio"});
    suite.add("co_await_post", "ns", [](std::uint64_t n) {
        run([&](auto& context, auto done) {
            weft::co_spawn(context, post_many<Executor>(n), done);
        });
    });
    suite.add(
        "co_await_post_to_executor", "ns",
        [](std::uint64_t n) {
            run([&](auto& context, auto done) {
                asio::co_spawn(context.get_executor(), post_many_to_executor<Native>(n), done);
            });
        },
        {.library = "asio"});
    suite.add("co_await_post_to_executor", "ns", [](std::uint64_t n) {
        run([&](auto& context, auto done) {
            weft::co_spawn(context, post_many_to_executor<Executor>(n), done);
        });
    });
    suite.add(
        "co_await_post_any_executor", "ns",
        [](std::uint64_t n) {
            run([&](auto& context, auto done) {
                asio::co_spawn(
                    asio::any_io_executor(context.get_executor()),
                    post_many<asio::any_io_executor>(n), done);
            });
        },
        {.library = "asio"});
    suite.add("co_await_post_any_executor", "ns", [](std::uint64_t n) {
        run([&](auto& context, auto done) {
            weft::co_spawn(context, post_many<asio::any_io_executor>(n), done);
        });
    });
    suite.add_value("coroutine_children_in_right_trace", "of_1000", children_in_right_trace);
}

} // namespace weft::bench
