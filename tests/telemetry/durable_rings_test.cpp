#include "../runtime/ring_folder.hpp"
#include "../viewer/child_program.hpp"
#include "receiver.hpp"
#include "rings_counters.hpp"

#include <weft/testing/random.hpp>

#include <map>
#include <set>

// Whole runtimes on durable rings: what had ended before a kill arrives by the next start, once.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* nobody = "http://127.0.0.1:1";

Options durable(const Receiver& receiver, const RingFolder& folder) {
    auto options = receiver.options();
    options.service_name = "rings";
    options.durable_rings.enabled = true;
    options.durable_rings.directory = folder.path();
    return options;
}

struct Arrived {
    std::map<std::string, int> spans; // By name: how often.
    std::set<std::string> recovered;  // Under a resource that says so.
    std::set<std::string> scopes;
};

Arrived arrived_at(const Receiver& receiver) {
    Arrived all;
    for (const auto& message : receiver.messages()) {
        for (const auto& resource : message.resource_spans()) {
            bool recovered = false;
            for (const auto& attribute : resource.resource().attributes()) {
                recovered = recovered ||
                            (attribute.key() == "weft.recovered" && attribute.value().bool_value());
            }
            for (const auto& scope : resource.scope_spans()) {
                all.scopes.insert(scope.scope().name() + ' ' + scope.scope().version());
                for (const auto& span : scope.spans()) {
                    ++all.spans[span.name()];
                    if (recovered) { all.recovered.insert(span.name()); }
                }
            }
        }
    }
    return all;
}

std::uint64_t unrecoverable(const Ledger& ledger) {
    return ledger.dropped[static_cast<std::size_t>(DropReason::unrecoverable)];
}

int kills() {
    const char* text = std::getenv("WEFT_TEST_KILLS");
    return text != nullptr ? std::atoi(text) : 20;
}

// Goal: after kill -9 at any moment nothing that had ended is missing, and nothing comes twice but what may have been
// taken without an answer. Method: a real program, killed while its threads make numbered spans. Every other time its
// receiver is not there, so that nothing may come twice.
TEST(DurableRings, LoseNothingOfAProgramThatIsKilledAtAnyMoment) {
    auto random = Random::seeded("DurableRings kills");
    std::uint64_t half_written = 0;
    for (int turn = 0; turn < kills(); ++turn) {
        SCOPED_TRACE(turn);
        const RingFolder folder;
        const auto counters_file = folder.path() + "/counters";
        const auto& counters = map_counters(counters_file);
        const bool answers = turn % 2 == 1;
        Receiver first;
        {
            ChildProgram program(
                {WEFT_RINGS_PROGRAM, folder.path(), answers ? first.url() : nobody, counters_file});
            ASSERT_TRUE(program.wait_for(0, "ready")) << program.err();
            std::this_thread::sleep_for(std::chrono::microseconds(random.below(40'000)));
        } // Killed.
        Receiver next;
        Runtime runtime(durable(next, folder));
        ASSERT_TRUE(runtime.flush_blocking(30s)->complete);

        const auto before = arrived_at(first);
        const auto after = arrived_at(next);
        std::size_t twice = 0;
        for (std::size_t thread = 0; thread < counters.threads.size(); ++thread) {
            const auto ended = counters.threads[thread].ended.load();
            const auto started = counters.threads[thread].started.load();
            for (std::uint64_t i = 1; i <= started; ++i) {
                const auto name = "s" + std::to_string(thread) + '-' + std::to_string(i);
                const int times = (before.spans.contains(name) ? before.spans.at(name) : 0) +
                                  (after.spans.contains(name) ? after.spans.at(name) : 0);
                if (i <= ended) { ASSERT_GE(times, 1) << name << " of " << ended; }
                ASSERT_LE(times, answers ? 2 : 1) << name;
                twice += times == 2 ? 1 : 0;
            }
        }
        EXPECT_LE(twice, 2 * 2 * batch_records) << "in two requests, and two that were answered";
        EXPECT_EQ(after.recovered.size(), after.spans.size());
        const auto ledger = runtime.ledger();
        EXPECT_TRUE(ledger.is_balanced());
        EXPECT_EQ(ledger.exported, after.spans.size());
        EXPECT_EQ(ledger.created, ledger.exported + unrecoverable(ledger));
        EXPECT_LE(unrecoverable(ledger), counters.threads.size());
        half_written += unrecoverable(ledger);
        EXPECT_THAT(folder.rings(), SizeIs(1)) << "the runtime's own";
        ASSERT_TRUE(runtime.shutdown_blocking(10s)->complete);
    }
    std::printf("half written: %llu\n", static_cast<unsigned long long>(half_written));
}

TEST(DurableRings, ComeUnderTheirOwnResourceAndScopes) {
    const RingFolder folder;
    {
        ChildProgram program({WEFT_RINGS_PROGRAM, folder.path(), nobody, folder.path() + "/c"});
        ASSERT_TRUE(program.wait_for(0, "ready"));
        std::this_thread::sleep_for(30ms);
    }
    Receiver next;
    Runtime runtime(durable(next, folder));
    Span("own").end();
    ASSERT_TRUE(runtime.flush_blocking(30s)->complete);

    const auto all = arrived_at(next);
    EXPECT_TRUE(all.scopes.contains("rings.program 1.2.3"));
    EXPECT_EQ(all.spans.at("own"), 1);
    EXPECT_FALSE(all.recovered.contains("own"));
    EXPECT_GT(all.recovered.size(), 0u);
    EXPECT_THAT(folder.rings(), SizeIs(1));
}

TEST(DurableRings, OfAnotherServiceAreLeftToIt) {
    const RingFolder folder;
    {
        ChildProgram program({WEFT_RINGS_PROGRAM, folder.path(), nobody, folder.path() + "/c"});
        ASSERT_TRUE(program.wait_for(0, "ready"));
    }
    Receiver next;
    auto options = durable(next, folder);
    options.service_name = "other";
    Runtime runtime(options);
    EXPECT_TRUE(runtime.flush_blocking(30s)->complete);
    EXPECT_EQ(runtime.ledger().created, 0u);
    EXPECT_THAT(folder.rings(), SizeIs(2));
}

TEST(DurableRings, BringBackMetricsThatNobodyHadTaken) {
    const RingFolder folder;
    {
        ChildProgram program(
            {WEFT_RINGS_PROGRAM, folder.path(), nobody, folder.path() + "/c", "metrics"});
        ASSERT_TRUE(program.wait_for(0, "ready"));
    }
    EXPECT_THAT(folder.rings(), SizeIs(2));
    Receiver next;
    auto options = durable(next, folder);
    options.metrics_exporter = ExporterKind::otlp;
    Runtime runtime(options);
    ASSERT_TRUE(runtime.flush_blocking(30s)->complete);
    EXPECT_TRUE(runtime.ledger(Signal::metrics).is_balanced());
    bool found = false;
    for (const auto& request : next.server().requests()) {
        const auto body = decode_body(request.header("content-encoding"), request.body);
        found = found || (body.find("rings.lost") != std::string::npos &&
                          body.find("weft.recovered") != std::string::npos);
    }
    EXPECT_TRUE(found);
    ASSERT_TRUE(runtime.shutdown_blocking(10s)->complete);
}

// What a shutdown cannot send any more is not lost but waits for the next start.
TEST(DurableRings, KeepWhatAShutdownCouldNotSend) {
    const RingFolder folder;
    Receiver receiver;
    {
        auto options = durable(receiver, folder);
        options.otlp.endpoint = nobody;
        Runtime runtime(options);
        for (int i = 0; i < 5; ++i) { Span("kept").end(); }
        (void)runtime.flush_blocking(50ms);
        Span("in the ring").end();
        const auto report = runtime.shutdown_blocking(50ms);
        EXPECT_FALSE(report->complete);
        EXPECT_EQ(report->dropped, 0u);
        const auto ledger = runtime.ledger();
        EXPECT_EQ(ledger.spooled, 6u);
        EXPECT_TRUE(ledger.is_balanced());
    }
    EXPECT_THAT(folder.rings(), SizeIs(1));
    Runtime runtime(durable(receiver, folder));
    ASSERT_TRUE(runtime.flush_blocking(10s)->complete);
    const auto all = arrived_at(receiver);
    EXPECT_EQ(all.spans.at("kept"), 5);
    EXPECT_EQ(all.spans.at("in the ring"), 1);
    EXPECT_EQ(all.recovered.size(), 2u);
}

TEST(DurableRings, LeaveNoFileBehindAnEndThatSentEverything) {
    const RingFolder folder;
    Receiver receiver;
    {
        Runtime runtime(durable(receiver, folder));
        Span("sent").end();
        EXPECT_THAT(folder.rings(), SizeIs(1));
        EXPECT_TRUE(runtime.shutdown_blocking(10s)->complete);
    }
    EXPECT_THAT(folder.files(), IsEmpty());
    EXPECT_THAT(receiver.names(), ElementsAre("sent"));
}

TEST(DurableRings, SayAtTheStartThatTheirFolderCannotBeUsed) {
    Receiver receiver;
    const RingFolder folder;
    auto options = durable(receiver, folder);
    options.durable_rings.directory = "/proc";
    try {
        const Runtime runtime(options);
        ADD_FAILURE() << "/proc is no folder of ours";
    } catch (const std::system_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("DurableRings::directory is \"/proc\""));
    }
    options.durable_rings.directory = "relative";
    EXPECT_THAT(problem_in(options), HasSubstr("DurableRings::directory is \"relative\""));
    options.durable_rings.directory.clear();
    options.durable_rings.adopt_files_max = 5000;
    EXPECT_THAT(problem_in(options), HasSubstr("DurableRings::adopt_files_max is 5000"));
}

TEST(DurableRings, AreAskedForByTheEnvironment) {
    const auto read = [](const char* value) {
        std::vector<std::string> problems;
        const auto options = options_from_env(
            [value](const char* name) -> const char* {
                return std::string_view(name) == "WEFT_DURABLE_RINGS" ? value : nullptr;
            },
            problems);
        return std::pair(options.durable_rings, problems);
    };
    EXPECT_FALSE(read(nullptr).first.enabled);
    EXPECT_TRUE(read("ON").first.enabled);
    EXPECT_FALSE(read("off").first.enabled);
    EXPECT_TRUE(read("/var/lib/shop").first.enabled);
    EXPECT_EQ(read("/var/lib/shop").first.directory, "/var/lib/shop");
    const auto [rings, problems] = read("yes");
    EXPECT_FALSE(rings.enabled);
    EXPECT_THAT(
        problems, ElementsAre("WEFT_DURABLE_RINGS=\"yes\": allowed is on, off or the absolute path "
                              "of a folder; it counts as off"));
}

} // namespace
} // namespace weft::testing
