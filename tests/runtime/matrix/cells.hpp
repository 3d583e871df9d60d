#pragma once
// Rows and columns of the conformance matrix. A row is a type with a `name` and
//
//   template <class Way> static Awaitable<Way> await(Here&);   columns Task and Plain
//   static void call(Callbacks&);                              column Callback
//
// either of which may be missing, and perhaps `static void prepare(Stage&)`, called before any thread runs. add_row<Row>() makes a test of each cell: ContextMatrix/Task.<name> runs it on one
// thread, ContextMatrixThreads/Task.<name> on two. matrix.py puts the same names into docs/context.md.

#include "stage.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/strand.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace matrix {

/// Column 1: weft::Task, on the loop itself.
struct TaskWay {
    static constexpr const char* name = "Task";
    template <class Inner>
    using On =
        weft::BasicExecutor<Inner>; ///< The executor of a coroutine of this kind over `Inner`.
    using Executor = weft::Executor;
    static constexpr asio::use_awaitable_t<Executor> token{};
};

/// Column 2: asio::awaitable<T> on any_io_executor, spawned by weft::co_spawn.
struct PlainWay {
    static constexpr const char* name = "Plain";
    template <class>
    using On = asio::any_io_executor;
    using Executor = asio::any_io_executor;
    static constexpr asio::use_awaitable_t<Executor> token{};
};

template <class Way, class T = void>
using Awaitable = asio::awaitable<T, typename Way::Executor>;

/// Column 3: what the callbacks of one cell share. It lives until done().
class Callbacks {
public:
    explicit Callbacks(const Here& here, std::function<void()> finished)
        : executor(weft::bind_context(here.stage().io.get_executor())), here_(here),
          finished_(std::move(finished)) {}

    const weft::Executor executor; ///< The loop, in the context of the chain.

    template <class Function>
    [[nodiscard]] auto bound(Function function) const {
        return asio::bind_executor(executor, std::move(function));
    }
    /// An object that lives until all is done.
    template <class T, class... Arguments>
    T& keep(Arguments&&... arguments) {
        auto made = std::make_shared<T>(std::forward<Arguments>(arguments)...);
        kept_.push_back(made);
        return *made;
    }
    void check(std::source_location where = std::source_location::current()) const {
        here_.check(where);
    }
    /// The last thing to be called.
    void done() { std::exchange(finished_, nullptr)(); }

    [[nodiscard]] const Here& here() const noexcept { return here_; }
    [[nodiscard]] Stage& stage() const noexcept { return here_.stage(); }

private:
    const Here& here_;
    std::function<void()> finished_;
    std::vector<std::shared_ptr<void>> kept_;
};

/// Calls `row` with a Callbacks& in the chain of `here` and waits for its done().
template <class Row>
weft::Task<void> call_and_wait(const Here& here, Row row) {
    std::unique_ptr<Callbacks> callbacks;
    auto start = [&](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        callbacks = std::make_unique<Callbacks>(here, [shared] {
            asio::post(asio::get_associated_executor(*shared), [shared] { std::move (*shared)(); });
        });
        row(*callbacks);
    };
    using Token = asio::use_awaitable_t<weft::Executor>;
    Token token;
    co_await asio::async_initiate<Token, void()>(std::move(start), token);
}

/// Column 3 in the terms of the others.
struct CallbackWay : TaskWay {
    static constexpr const char* name = "Callback";
};

template <class Way, class Row>
Awaitable<Way> once(const Here& here) {
    if constexpr (std::is_same_v<Way, CallbackWay>) {
        return call_and_wait(here, &Row::call);
    } else {
        return Row::template await<Way>(here);
    }
}

template <class Way, class Row>
Awaitable<Way> drive(Origin origin) {
    for (int turn = 0; turn < origin.stage->turns(); ++turn) {
        const Here held(origin);
        held.check();
        co_await once<Way, Row>(held);
        held.check();
        {
            const Here inner(held.origin());
            co_await once<Way, Row>(inner);
            inner.check();
        }
        held.check();
    }
}

/// Where the chains of a cell run. Two threads may run cancelling operations only on a strand.
template <class Row>
inline constexpr bool needs_strand = requires {
    requires Row::needs_strand;
};
/// A row whose operation is for one thread only.
template <class Row>
inline constexpr bool one_thread_only = requires {
    requires Row::one_thread_only;
};

template <class Way, class Row>
void run_cell(int threads) {
    if constexpr (requires { Row::template run<Way>(threads); }) {
        Row::template run<Way>(threads);
    } else {
        Stage stage(threads);
        if constexpr (requires { Row::prepare(stage); }) { Row::prepare(stage); }
        for (int chain = 0; chain < 3; ++chain) {
            if constexpr (needs_strand<Row> && std::is_same_v<Way, PlainWay>) {
                const auto strand = asio::make_strand(stage.io);
                weft::co_spawn(strand, drive<Way, Row>(stage.root_on(strand)), stage.chain());
            } else {
                weft::co_spawn(stage.io, drive<Way, Row>(stage.root()), stage.chain());
            }
        }
        stage.run();
    }
}

class CellTest : public ::testing::Test {
public:
    CellTest(void (*run)(int), int threads) : run_(run), threads_(threads) {}
    void TestBody() override { run_(threads_); }

private:
    void (*run_)(int);
    int threads_;
};

template <class Way, class Row>
void add_cell() {
    for (const int threads : {1, 2}) {
        const bool on_strand = !needs_strand<Row> || std::is_same_v<Way, PlainWay>;
        if (threads == 2 && (one_thread_only<Row> || !on_strand)) { continue; }
        ::testing::RegisterTest(
            (std::string(threads == 1 ? "ContextMatrix/" : "ContextMatrixThreads/") + Way::name)
                .c_str(),
            Row::name, nullptr, nullptr, __FILE__, __LINE__,
            [threads]() -> CellTest* { return new CellTest(&run_cell<Way, Row>, threads); });
    }
}

/// Makes a test of every cell that the row has.
template <class Row>
bool add_row() {
    constexpr bool awaits = requires(const Here& here) { Row::template await<TaskWay>(here); };
    constexpr bool runs = requires { Row::template run<TaskWay>(1); };
    if constexpr (awaits || runs) {
        add_cell<TaskWay, Row>();
        add_cell<PlainWay, Row>();
    }
    constexpr bool calls = requires(Callbacks & callbacks) { Row::call(callbacks); };
    if constexpr (calls || runs) { add_cell<CallbackWay, Row>(); }
    return true;
}

} // namespace matrix
