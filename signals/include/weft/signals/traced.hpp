#pragma once
// A span around one await, in two forms:
//
//   co_await weft::traced("load order", load_order(id));                      around an awaitable: spans inside are children
//   co_await socket.async_read_some(buffer, weft::traced("read"));            around any Asio operation, any token
//   socket.async_read_some(buffer, weft::traced("read", [](error_code, std::size_t) { ... }));
//
// The span starts when the operation does, not when it is written down, and ends before the completion handler runs.
// An error_code or exception_ptr becomes the span's status and `error.type`; a cancelled operation has not failed and gets
// `weft.cancelled` instead. What is destroyed without having completed ends its span too.

#include <weft/runtime/spawn.hpp>
#include <weft/signals/span.hpp>

#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <concepts>
#include <exception>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

/// Completion token that puts a span around an operation and hands everything else to `inner`.
template <class Token>
struct TracedToken {
    const Tracer* tracer;
    std::string_view name;
    SpanKind kind;
    Token inner;
    std::source_location where; // Where it was written down.
};

namespace detail {

inline constinit const Tracer default_tracer;

// What an operation ended with. Out of line: it is the same for all of them.
void note_error(Span& span, const boost::system::error_code& error) noexcept;
void note_exception(Span& span, const std::exception_ptr& error) noexcept;
void note_bytes(Span& span, std::size_t bytes) noexcept;

// By the completion signatures that Asio's operations have. Anything else says nothing about success.
template <class... Args>
void note_result(Span&, const Args&...) noexcept {}
template <class... Args>
void note_result(Span& span, const boost::system::error_code& error, const Args&...) noexcept {
    if (error) { note_error(span, error); }
}
inline void note_result(
    Span& span, const boost::system::error_code& error, const std::size_t& bytes) noexcept {
    if (error) { note_error(span, error); }
    note_bytes(span, bytes);
}
template <class... Args>
void note_result(Span& span, const std::exception_ptr& error, const Args&...) noexcept {
    if (error) { note_exception(span, error); }
}

template <class Handler>
struct TracedHandler {
    Span span;
    Handler handler;

    template <class... Args>
    void operator()(Args&&... args) {
        note_result(span, std::as_const(args)...);
        span.end();
        std::move(handler)(std::forward<Args>(args)...);
    }
};

// Operations say through their initiation where they run.
template <class Initiation>
struct InitiationExecutor {};
template <class Initiation>
requires requires { typename Initiation::executor_type; }
struct InitiationExecutor<Initiation> {
    using executor_type = typename Initiation::executor_type;
};

template <class Initiation>
struct TracedInitiation : InitiationExecutor<Initiation> {
    TracedInitiation(
        const Tracer* t, std::string_view n, SpanKind k, Initiation i, std::source_location w = {})
        : tracer(t), name(n), kind(k), where(w), initiation(std::move(i)) {}

    const Tracer* tracer;
    std::string_view name;
    SpanKind kind;
    std::source_location where;
    Initiation initiation;

    [[nodiscard]] auto get_executor() const noexcept requires requires(const Initiation& i) {
        i.get_executor();
    }
    { return initiation.get_executor(); }

    template <class Handler, class... Args>
    void operator()(Handler&& handler, Args&&... args) && {
        start(std::move(initiation), std::forward<Handler>(handler), std::forward<Args>(args)...);
    }
    template <class Handler, class... Args>
    void operator()(Handler&& handler, Args&&... args) const& {
        start(initiation, std::forward<Handler>(handler), std::forward<Args>(args)...);
    }

private:
    template <class Init, class Handler, class... Args>
    void start(Init&& init, Handler&& handler, Args&&... args) const {
        std::forward<Init>(init)(
            TracedHandler<std::decay_t<Handler>>{
                Span::operation(*tracer, name, kind, where), std::forward<Handler>(handler)},
            std::forward<Args>(args)...);
    }
};

// Older versions of Asio's bind_... adaptors ask a token's async_result for this name.
template <class Result>
struct TracedReturn {};
template <class Result>
requires requires { typename Result::return_type; }
struct TracedReturn<Result> {
    using return_type = typename Result::return_type;
};

template <class T, class Ex>
asio::awaitable<T, Ex> run_traced(
    const Tracer* tracer, std::string_view name, SpanKind kind, std::source_location where,
    asio::awaitable<T, Ex> task) {
    Span span(*tracer, name, {}, {.kind = kind}, where);
    std::exception_ptr failure;
    try {
        co_return co_await std::move(task);
    } catch (...) { failure = std::current_exception(); }
    note_exception(span, failure);
    std::rethrow_exception(failure);
}

} // namespace detail

/// `task` with a span around it, which is current while it runs. Exceptions pass through and are recorded.
/// Lifetime: `tracer` and `name` until the task is started; in `co_await traced(...)` any temporary is good.
/// Cost: a coroutine frame and a span.
template <detail::Awaitable Work>
[[nodiscard]] Work traced(
    const Tracer& tracer, std::string_view name, Work task, SpanKind kind = SpanKind::internal,
    std::source_location where = std::source_location::current()) {
    return detail::run_traced(&tracer, name, kind, where, std::move(task));
}
template <detail::Awaitable Work>
[[nodiscard]] Work traced(
    std::string_view name, Work task, SpanKind kind = SpanKind::internal,
    std::source_location where = std::source_location::current()) {
    return detail::run_traced(&detail::default_tracer, name, kind, where, std::move(task));
}

/// `inner` with a span around the operation that it completes: a child of what is current where the operation starts,
/// not current itself. Executor, allocator and cancellation slot are those of `inner`.
/// Lifetime: `tracer` and `name` until the operation is started. Cost: a span; the handler grows by 48 bytes.
template <class Token>
requires(!detail::Awaitable<Token>) [[nodiscard]] TracedToken<std::decay_t<Token>> traced(
    const Tracer& tracer, std::string_view name, Token&& inner, SpanKind kind = SpanKind::client,
    std::source_location where = std::source_location::current()) {
    return {&tracer, name, kind, std::forward<Token>(inner), where};
}
template <class Token>
requires(!detail::Awaitable<Token>) [[nodiscard]] TracedToken<std::decay_t<Token>> traced(
    std::string_view name, Token&& inner, SpanKind kind = SpanKind::client,
    std::source_location where = std::source_location::current()) {
    return {&detail::default_tracer, name, kind, std::forward<Token>(inner), where};
}
/// For `co_await` in any coroutine.
[[nodiscard]] inline TracedToken<asio::deferred_t> traced(
    std::string_view name, std::source_location where = std::source_location::current()) {
    return {&detail::default_tracer, name, SpanKind::client, asio::deferred, where};
}
[[nodiscard]] inline TracedToken<asio::deferred_t> traced(
    const Tracer& tracer, std::string_view name,
    std::source_location where = std::source_location::current()) {
    return {&tracer, name, SpanKind::client, asio::deferred, where};
}

} // namespace weft

template <class Token, class... Signatures>
struct boost::asio::async_result<weft::TracedToken<Token>, Signatures...>
    : weft::detail::TracedReturn<boost::asio::async_result<Token, Signatures...>> {
    template <class Initiation, class Traced, class... Args>
    static decltype(auto) initiate(Initiation&& initiation, Traced&& traced, Args&&... args) {
        using Start = weft::detail::TracedInitiation<std::decay_t<Initiation>>;
        auto inner = std::forward<Traced>(traced).inner;
        return boost::asio::async_initiate<Token, Signatures...>(
            Start(
                traced.tracer, traced.name, traced.kind, std::forward<Initiation>(initiation),
                traced.where),
            inner, std::forward<Args>(args)...);
    }
};

template <template <class, class> class Associator, class Handler, class Default>
struct boost::asio::associator<Associator, weft::detail::TracedHandler<Handler>, Default>
    : Associator<Handler, Default> {
    static decltype(auto) get(const weft::detail::TracedHandler<Handler>& traced) noexcept {
        return Associator<Handler, Default>::get(traced.handler);
    }
    static decltype(auto) get(
        const weft::detail::TracedHandler<Handler>& traced, const Default& otherwise) noexcept {
        return Associator<Handler, Default>::get(traced.handler, otherwise);
    }
};
