#include "stage.hpp"

#include <utility>

namespace matrix {

void Origin::outside(std::function<void()> work) const {
    asio::post(plain, [work = std::move(work)] {
        expect_no_context();
        work();
        expect_no_context();
    });
}

Here::Here(const Origin& origin) : origin_(origin), span_("here") {
    stage().expect(span_.context(), origin_.parent);
}

void Here::check(std::source_location where) const {
    check_current(where);
    const weft::Span child("child");
    stage().expect(child.context(), span_.context());
}

void Here::check_current(std::source_location where) const {
    if (weft::current_span_context() != span_.context()) {
        ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
            << "the chain's span is not current";
    }
}

void expect_no_context(std::source_location where) {
    if (weft::current_span_context().is_valid()) {
        ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
            << "a chain's span is current outside of the chain";
    }
}

Stage::Stage(int threads, std::size_t queue_bytes)
    : sink_({.queue_bytes = queue_bytes, .shards = 4}), io(threads), threads_(threads) {}

// Another chain that always has something to run, and must always find its own span.
weft::Task<void> Stage::rival() {
    const Here mine(root());
    mine.check();
    while (open()) {
        co_await asio::post(weft::testing::use_task);
        if (weft::current_span_context() != mine.origin().parent) {
            ADD_FAILURE() << "a neighbour lost its span";
            co_return;
        }
    }
    mine.check();
}

// Plain handlers between all the others.
void Stage::watch() {
    expect_no_context();
    if (open()) {
        asio::post(io, [this] { watch(); });
    }
}

void Stage::run() {
    for (int i = 0; i < 2; ++i) {
        weft::co_spawn(io, rival(), weft::testing::fail_on_exception);
        asio::post(io, [this] { watch(); });
    }
    if (threads_ == 1) {
        weft::testing::run(io);
    } else {
        weft::testing::Rendezvous all_there(threads_);
        for (int i = 0; i < threads_; ++i) {
            asio::post(io, [&all_there] { EXPECT_TRUE(all_there.arrive_and_wait()); });
        }
        weft::testing::run_on_threads(io, threads_);
    }
    EXPECT_FALSE(open());
    for (auto* each : {&pool, &other_pool}) {
        asio::post(*each, [] { expect_no_context(); });
        each->join();
    }

    expect_no_context();
    EXPECT_EQ(faults_(), weft::ContextFaults{}) << "counted in legitimate use";
    expected_.check(weft::testing::SpanIndex(sink_.take()));
}

} // namespace matrix
