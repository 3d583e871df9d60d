#include "receiver.hpp"

#include <weft/telemetry/runtime.hpp>
#include <weft/testing/forked.hpp>
#include <weft/testing/json.hpp>

#include <arpa/inet.h>
#include <boost/asio/steady_timer.hpp>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <set>

// fork() with telemetry running: the child has an empty ledger and exports its own spans, the parent notices nothing.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// What has arrived, by the process that sent it.
struct Arrived {
    struct Process {
        std::vector<OtlpSpan> spans;
        std::set<std::string> instances;
    };
    std::map<pid_t, Process> processes;
    std::size_t spans = 0;
    std::set<std::string> span_ids;

    explicit Arrived(const Receiver& receiver) {
        for (const auto& message : receiver.messages()) {
            pid_t pid = 0;
            std::string instance;
            for (const auto& attribute : message.resource_spans(0).resource().attributes()) {
                if (attribute.key() == "process.pid") {
                    pid = static_cast<pid_t>(attribute.value().int_value());
                }
                if (attribute.key() == "service.instance.id") {
                    instance = attribute.value().string_value();
                }
            }
            auto& process = processes[pid];
            process.instances.insert(instance);
            for (const auto& scope : message.resource_spans(0).scope_spans()) {
                for (const auto& span : scope.spans()) {
                    process.spans.push_back(span);
                    span_ids.insert(span.span_id());
                    ++spans;
                }
            }
        }
    }
    [[nodiscard]] std::vector<std::string> names_from(pid_t pid) const {
        std::vector<std::string> names;
        const auto found = processes.find(pid);
        if (found == processes.end()) { return names; }
        for (const auto& span : found->second.spans) { names.push_back(span.name()); }
        return names;
    }
};

std::string bytes_of(const SpanId& id) { return {id.bytes.begin(), id.bytes.end()}; }
std::string bytes_of(const TraceId& id) { return {id.bytes.begin(), id.bytes.end()}; }

// Sockets of this process that are connected to the port.
int connections_to(std::uint16_t port) {
    int count = 0;
    for (int descriptor = 0; descriptor < 1024; ++descriptor) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == port) {
            ++count;
        }
    }
    return count;
}

TEST(RuntimeFork, UnderLoadEverySpanArrivesOnceFromTheProcessThatMadeIt) {
    constexpr int children = 24;
    constexpr std::size_t spans_each = 40;
    constexpr std::size_t parents_max = 60'000; // Of one thread: the queue has room for all.
    Receiver receiver;
    auto options = receiver.options();
    options.batch.queue_bytes = 128u << 20;
    options.batch.delay = 1ms;
    Runtime runtime(options);
    std::atomic<bool> stop{false};
    std::atomic<int> working{0};
    std::mutex mutex;
    std::set<std::string> made; // By the parent.
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            ++working;
            std::vector<std::string> mine;
            while (!stop && mine.size() < parents_max) {
                const Span outer("parent's", {{"a", 1}});
                Span inner("parent's", {{"long", std::string(mine.size() % 2000, 'x')}});
                mine.push_back(bytes_of(outer.context().span_id));
                mine.push_back(bytes_of(inner.context().span_id));
                if (mine.size() % 64 == 0) { std::this_thread::yield(); }
            }
            const std::lock_guard lock(mutex);
            made.insert(mine.begin(), mine.end());
            --working;
        });
    }
    ASSERT_TRUE(wait_for([&] { return working == 3; }));

    std::vector<pid_t> pids;
    std::vector<Forked> running;
    for (int i = 0; i < children; ++i) {
        running.emplace_back([&] {
            const auto inherited = runtime.ledger();
            EXPECT_EQ(inherited.created, 0u) << inherited.to_json();
            EXPECT_TRUE(inherited.is_balanced());
            for (std::size_t j = 0; j < spans_each; ++j) { Span("child's").end(); }
            const auto report = runtime.flush_blocking(30s);
            EXPECT_TRUE(report && report->complete);
            const auto ledger = runtime.ledger();
            EXPECT_EQ(ledger.created, spans_each) << ledger.to_json();
            EXPECT_EQ(ledger.exported, spans_each) << ledger.to_json();
            EXPECT_TRUE(ledger.is_balanced());
            EXPECT_EQ(
                Json(runtime.ledger_json())["spans"]["exported"].get_uint64().value(), spans_each);
        });
        pids.push_back(running.back().pid());
    }
    EXPECT_GT(working, 0) << "the forks were to happen under load";
    for (auto& child : running) { EXPECT_EQ(child.wait(), "exit 0"); }
    stop = true;
    for (auto& thread : threads) { thread.join(); }
    EXPECT_TRUE(runtime.flush_blocking(60s)->complete);

    const auto ledger = runtime.ledger();
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.created, made.size()) << ledger.to_json();
    EXPECT_EQ(ledger.exported, made.size()) << ledger.to_json();
    const Arrived arrived(receiver);
    EXPECT_EQ(arrived.spans, made.size() + children * spans_each);
    EXPECT_EQ(arrived.span_ids.size(), arrived.spans) << "a span id came twice";
    std::set<std::string> received;
    for (const auto& span : arrived.processes.at(getpid()).spans) {
        EXPECT_EQ(span.name(), "parent's");
        received.insert(span.span_id());
    }
    EXPECT_TRUE(received == made);
    std::set<std::string> instances;
    for (const auto& [pid, process] : arrived.processes) {
        EXPECT_EQ(process.instances.size(), 1u);
        instances.insert(process.instances.begin(), process.instances.end());
    }
    EXPECT_EQ(instances.size(), 1u + children) << "each process is an instance of its own";
    for (const pid_t pid : pids) {
        EXPECT_EQ(arrived.names_from(pid), std::vector<std::string>(spans_each, "child's"));
    }
}

// Exports on the program's io_context, which a child leaves alone until it has told it of the fork.
TEST(RuntimeFork, OnTheProgramsLoopAChildExportsWhetherItTellsTheLoopOrNot) {
    Receiver receiver;
    auto options = receiver.options();
    options.export_on = ExportOn::user_executor;
    options.batch.delay = 1ms;
    asio::io_context io;
    Runtime runtime(io, options);
    Span("parent's").end();
    io.run_for(5ms); // The loop watches, and perhaps sends.
    io.restart();

    const auto threads = thread_count();
    Forked untold([&] {
        Span("untold child's").end();
        EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
        EXPECT_EQ(runtime.ledger().exported, 1u);
        EXPECT_EQ(thread_count(), 1u);
    });
    const pid_t untold_pid = untold.pid();
    EXPECT_EQ(untold.wait(), "exit 0");
    io.notify_fork(asio::io_context::fork_prepare);
    Forked told([&] {
        io.notify_fork(asio::io_context::fork_child);
        Span("told child's").end();
        asio::steady_timer wait(io, 10s);
        wait.async_wait([](const boost::system::error_code&) {});
        for (int i = 0; i < 10'000 && runtime.ledger().exported != 1; ++i) {
            io.run_one_for(std::chrono::milliseconds(1));
        }
        EXPECT_EQ(runtime.ledger().exported, 1u) << "by the loop alone";
        EXPECT_EQ(thread_count(), 1u);
    });
    io.notify_fork(asio::io_context::fork_parent);
    const pid_t told_pid = told.pid();
    EXPECT_EQ(told.wait(), "exit 0");
    Forked early([&] { // The guest is there before the loop is told.
        Span("early child's").end();
        io.notify_fork(asio::io_context::fork_child);
        asio::steady_timer wait(io, 10s);
        wait.async_wait([](const boost::system::error_code&) {});
        for (int i = 0; i < 10'000 && runtime.ledger().exported != 1; ++i) {
            io.run_one_for(std::chrono::milliseconds(1));
        }
        EXPECT_EQ(runtime.ledger().exported, 1u) << "by the loop alone";
    });
    const pid_t early_pid = early.pid();
    EXPECT_EQ(early.wait(), "exit 0");

    Span("parent's").end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_EQ(thread_count(), threads);
    const Arrived arrived(receiver);
    EXPECT_EQ(arrived.spans, 5u);
    EXPECT_THAT(arrived.names_from(getpid()), ElementsAre("parent's", "parent's"));
    EXPECT_THAT(arrived.names_from(untold_pid), ElementsAre("untold child's"));
    EXPECT_THAT(arrived.names_from(told_pid), ElementsAre("told child's"));
    EXPECT_THAT(arrived.names_from(early_pid), ElementsAre("early child's"));
}

TEST(RuntimeFork, ASpanOpenAcrossItIsTheParentsAndMayHaveChildrenInTheChild) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    Span outer("outer");
    std::optional<Span> inner(std::in_place, "inner");
    const auto of_inner = inner->context();

    Forked child([&] {
        inner->set_attribute("still", "safe");
        Span("child's").end();
        inner.reset();
        outer.end();
        Span("child's root").end();
        EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
        const auto ledger = runtime.ledger();
        EXPECT_EQ(ledger.created, 2u) << ledger.to_json();
        EXPECT_EQ(ledger.exported, 2u) << ledger.to_json();
        EXPECT_EQ(context_faults().ended_out_of_order + context_faults().ended_elsewhere, 0u);
    });
    EXPECT_EQ(child.wait(), "exit 0");
    inner.reset();
    outer.end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);

    const Arrived arrived(receiver);
    EXPECT_EQ(arrived.processes.size(), 2u);
    EXPECT_THAT(arrived.names_from(getpid()), ElementsAre("inner", "outer"));
    for (const auto& [pid, process] : arrived.processes) {
        if (pid == getpid()) { continue; }
        ASSERT_THAT(arrived.names_from(pid), ElementsAre("child's", "child's root"));
        EXPECT_EQ(process.spans[0].parent_span_id(), bytes_of(of_inner.span_id));
        EXPECT_EQ(process.spans[0].trace_id(), bytes_of(of_inner.trace_id));
        EXPECT_NE(process.spans[0].flags() & 0x200u, 0u) << "its parent is in another process";
        EXPECT_THAT(process.spans[1].parent_span_id(), IsEmpty());
        EXPECT_NE(process.spans[1].trace_id(), process.spans[0].trace_id());
    }
    EXPECT_EQ(arrived.processes.at(getpid()).spans[0].flags() & 0x200u, 0u);
    EXPECT_EQ(runtime.ledger().exported, 2u);
}

TEST(RuntimeFork, AChildWithoutSpansStartsNothingAndEndsAtOnce) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    Span("parent's").end();
    ASSERT_TRUE(runtime.flush_blocking(10s)->complete);
    ASSERT_EQ(connections_to(receiver.server().port()), 1) << "kept alive";
    Span("waits in the queue").end();

    Forked child([&] {
        EXPECT_EQ(thread_count(), 1u);
        EXPECT_EQ(connections_to(receiver.server().port()), 0) << "those are the parent's";
        const auto began = Clock::now();
        const auto flushed = runtime.flush_blocking(1h);
        const auto stopped = runtime.shutdown_blocking(1h);
        EXPECT_TRUE(flushed->complete);
        EXPECT_TRUE(stopped->complete);
        EXPECT_EQ(flushed->exported + stopped->exported + stopped->dropped, 0u);
        EXPECT_LT(Clock::now() - began, 5s);
        EXPECT_EQ(thread_count(), 1u);
        Span("too late").end();
        EXPECT_EQ(runtime.ledger().created, 0u) << "to nobody: it is not the default any more";
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_THAT(receiver.names(), ElementsAre("parent's", "waits in the queue"));
    EXPECT_EQ(receiver.server().connections(), 1u) << "the parent's connection is as it was";
}

TEST(RuntimeFork, AChildExportsByItselfWithoutAFlush) {
    Receiver receiver;
    auto options = receiver.options();
    options.batch.delay = 1ms;
    Runtime runtime(options);
    Forked child([&] {
        Span("child's").end();
        EXPECT_TRUE(wait_for([&] { return runtime.ledger().exported == 1; }));
        EXPECT_EQ(threads_named("weft-export").size(), 1u);
    });
    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_THAT(receiver.names(), ElementsAre("child's"));
}

TEST(RuntimeFork, ChildrenOfADeadOrSilentCollectorEndByTheirDeadline) {
    Receiver silent;
    silent.server().set_default(silence());
    auto dead = silent.options();
    dead.otlp.endpoint = "http://127.0.0.1:1";
    for (auto options : {dead, silent.options()}) {
        options.shutdown_timeout = 100ms;
        std::optional<Runtime> runtime(std::in_place, options);
        Span("parent's").end();
        (void)runtime->flush_blocking(20ms); // So that a send is under way.

        Forked child([&] {
            const auto began = Clock::now();
            for (int i = 0; i < 3; ++i) { Span("child's").end(); }
            const auto flushed = runtime->flush_blocking(50ms);
            EXPECT_FALSE(flushed->complete);
            EXPECT_EQ(flushed->pending, 3u);
            const auto stopped = runtime->shutdown_blocking(50ms);
            EXPECT_EQ(stopped->dropped, 3u);
            EXPECT_TRUE(runtime->ledger().is_balanced());
            EXPECT_EQ(runtime->ledger().created, 3u);
            runtime.reset();
            EXPECT_LT(Clock::now() - began, 10s);
        });

        EXPECT_EQ(child.wait(), "exit 0");
        EXPECT_EQ(runtime->ledger().created, 1u);
    }
}

TEST(RuntimeFork, GrandchildrenAreChildrenOfTheirOwnParent) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    const Span root("root");
    Forked child([&] {
        Span own("child");
        Forked grandchild([&] {
            EXPECT_EQ(runtime.ledger().created, 0u);
            Span("grandchild").end();
            own.end();
            EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
            EXPECT_EQ(runtime.ledger().exported, 1u);
        });
        EXPECT_EQ(grandchild.wait(), "exit 0");
        own.end();
        EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
        EXPECT_EQ(runtime.ledger().exported, 1u);
    });
    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);

    const auto spans = receiver.spans();
    ASSERT_EQ(spans.size(), 2u);
    EXPECT_EQ(spans[0].name(), "grandchild");
    EXPECT_EQ(spans[1].name(), "child");
    EXPECT_EQ(spans[0].parent_span_id(), spans[1].span_id());
    EXPECT_EQ(spans[1].parent_span_id(), bytes_of(root.context().span_id));
    EXPECT_EQ(spans[0].trace_id(), spans[1].trace_id());
}

TEST(RuntimeFork, AfterTheParentsShutdownTheChildsSpansAreCountedNoOps) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    const Tracer tracer = runtime.tracer("late");
    Span(tracer, "in time").end();
    EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
    Span(tracer, "parent's, too late").end();

    Forked child([&] {
        EXPECT_EQ(runtime.ledger().created, 0u);
        EXPECT_FALSE(tracer.is_enabled());
        Span(tracer, "child's, too late").end();
        EXPECT_TRUE(runtime.flush_blocking(1h)->complete);
        const auto ledger = runtime.ledger();
        EXPECT_EQ(ledger.created, 1u);
        EXPECT_EQ(ledger.dropped[static_cast<std::size_t>(DropReason::shutdown)], 1u);
        EXPECT_TRUE(ledger.is_balanced());
        EXPECT_EQ(thread_count(), 1u);
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_EQ(runtime.ledger().created, 2u);
    EXPECT_THAT(receiver.names(), ElementsAre("in time"));
}

// Two ways for a worker to have a runtime: the one it inherits, or one of its own.
TEST(RuntimeFork, AWorkerMayEndTheRuntimeItInheritsAndHaveItsOwn) {
    Receiver receiver;
    Receiver workers;
    std::optional<Runtime> runtime(std::in_place, receiver.options());
    Span("parent's").end();

    Forked child([&] {
        runtime.reset();
        auto options = workers.options();
        options.service_name = "worker";
        Runtime own(options);
        bool done = false;
        weft::co_spawn(
            own,
            [&]() -> Task<void> {
                const Span span("worker's");
                done = true;
                co_return;
            },
            [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
        EXPECT_EQ(own.run(), 0);
        EXPECT_TRUE(done);
        EXPECT_EQ(own.ledger().exported, 1u);
    });

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_THAT(workers.names(), ElementsAre("worker's"));
    EXPECT_TRUE(runtime->flush_blocking(10s)->complete);
    EXPECT_THAT(receiver.names(), ElementsAre("parent's"));
}

TEST(RuntimeFork, AnInheritedRuntimeRunsInAWorkerUntilItsOwnSignal) {
    Receiver receiver;
    asio::io_context io;
    Runtime runtime(io, receiver.options());
    Span("parent's").end();

    io.notify_fork(asio::io_context::fork_prepare);
    Forked child([&] {
        io.notify_fork(asio::io_context::fork_child);
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                const Span span("worker's");
                raise(SIGTERM);
                asio::steady_timer timer(io, 10ms);
                co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
            },
            [](const std::exception_ptr&) {});
        EXPECT_EQ(runtime.run(), 0);
        EXPECT_EQ(runtime.ledger().exported, 1u);
    });
    io.notify_fork(asio::io_context::fork_parent);

    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_THAT(receiver.names(), UnorderedElementsAre("worker's", "parent's"));
}

TEST(RuntimeFork, ASignalToAChildForkedByARunningLoopDoesNotStopTheParent) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    bool went_on = false;
    bool stopped = false;
    const auto hook =
        runtime.host().on_stop([&]() -> Task<void> { co_return void(stopped = true); });
    std::vector<std::string> ended;
    asio::post(runtime.io_context(), [&] {
        for (int i = 0; i < 10; ++i) { // At once: a signal may come before fork() has returned.
            Forked child([] {
                for (;;) { pause(); } // Bound: the signal that ends it.
            });
            kill(child.pid(), i % 2 == 0 ? SIGTERM : SIGINT);
            ended.push_back(child.wait());
        }
        asio::post(runtime.io_context(), [&] {
            auto timer = std::make_shared<asio::steady_timer>(runtime.io_context(), 50ms);
            timer->async_wait([&, timer](boost::system::error_code error) { went_on = !error; });
        });
    });

    EXPECT_EQ(runtime.run(), 0);

    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(ended.at(i), i % 2 == 0 ? "signal 15" : "signal 2");
    }
    EXPECT_TRUE(went_on);
    EXPECT_FALSE(stopped);
}

TEST(RuntimeFork, AChildThatAHandlerForksIsToldThatItsLoopCannotRunAndExportsByAFlush) {
    Receiver receiver;
    for (const unsigned threads : {1u, 2u}) {
        auto options = receiver.options();
        options.threads = threads;
        Runtime runtime(options);
        auto& io = runtime.io_context();
        std::string ended;
        asio::post(io, [&] {
            io.notify_fork(asio::io_context::fork_prepare);
            Forked child([&] {
                io.notify_fork(asio::io_context::fork_child);
                std::string told;
                diagnostics().set_handler([&](const Diagnostic& line) { told = line.message; });
                asio::post(io, [&] { runtime.stop(); });
                EXPECT_EQ(runtime.run(), 1);
                EXPECT_THAT(told, ::testing::HasSubstr("a handler of its own event loop"));
                Span("child's").end();
                EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
                EXPECT_EQ(runtime.ledger().exported, 1u);
                asio::io_context own;
                asio::post(own, [&] { Span("child's own loop's").end(); });
                options.make_default = false;
                Runtime second(own, options);
                EXPECT_EQ(second.run(), 0);
                EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
                EXPECT_EQ(runtime.ledger().exported, 2u);
            });
            io.notify_fork(asio::io_context::fork_parent);
            ended = child.wait();
        });
        EXPECT_EQ(runtime.run(), 0);
        EXPECT_EQ(ended, "exit 0") << threads;
    }
}

// Goal: a thread that starts the child's exports and one that forks do not wait for each other. Method: children with
// metrics in which both begin at once; where the order of mutexes is wrong, nearly each of them hangs.
TEST(RuntimeFork, AChildMayForkOnWhileItStartsItsExports) {
    Receiver receiver;
    auto options = receiver.options();
    options.metrics_exporter = ExporterKind::otlp;
    Runtime runtime(options);
    for (int i = 0; i < 10; ++i) {
        Forked child([&] {
            std::atomic<bool> go{false};
            std::thread forks([&] {
                while (!go) {} // Bound: the other thread is about to set it.
                for (int j = 0; j < 20; ++j) {
                    Forked grandchild([] {});
                    EXPECT_EQ(grandchild.wait(), "exit 0");
                }
            });
            go = true;
            EXPECT_TRUE(runtime.flush_blocking(30s)->complete);
            forks.join();
        });
        ASSERT_EQ(child.wait(), "exit 0") << "child " << i;
    }
}

// Goal: flushes, ledgers and the life of other runtimes in the parent's threads lock nothing for the child.
TEST(RuntimeFork, NothingTheParentIsDoingHangsTheChild) {
    Receiver receiver;
    auto options = receiver.options();
    options.batch.delay = 1ms;
    Runtime runtime(options);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        while (!stop) {
            Span("a").end();
            (void)runtime.flush_blocking(1ms);
            (void)runtime.ledger();
        }
    });
    threads.emplace_back([&] {
        while (!stop) {
            auto other = receiver.options();
            other.make_default = false;
            other.shutdown_timeout = 1ms;
            Runtime second(other);
            const auto hook = second.host().on_stop([]() -> Task<void> { co_return; });
            const Tracer tracer = second.tracer("second");
            Span(tracer, "b").end();
        }
    });

    for (int i = 0; i < 20; ++i) {
        Forked child([&] {
            const auto hook = runtime.host().on_stop([]() -> Task<void> { co_return; });
            Span("child's").end();
            EXPECT_TRUE(runtime.flush_blocking(30s)->complete);
            EXPECT_EQ(runtime.ledger().exported, 1u);
            auto other = receiver.options();
            other.make_default = false;
            Runtime second(other);
            const Tracer tracer = second.tracer("second");
            Span(tracer, "child's second").end();
            EXPECT_TRUE(second.shutdown_blocking(30s)->complete);
            EXPECT_EQ(second.ledger().exported, 1u);
        });
        ASSERT_EQ(child.wait(), "exit 0") << "child " << i;
    }

    stop = true;
    for (auto& thread : threads) { thread.join(); }
    EXPECT_TRUE(runtime.flush_blocking(30s)->complete);
    EXPECT_TRUE(runtime.ledger().is_balanced());
}

} // namespace
} // namespace weft::testing
