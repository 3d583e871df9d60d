#include "text_sink_fixture.hpp"

#include <weft/exporters/console.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>

// What a console exporter shows, and what it costs when nobody reads it. Standard error stands in for a terminal.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// A pipe in the place of standard error.
class StandardError {
public:
    StandardError() : kept_(dup(STDERR_FILENO)) {
        EXPECT_EQ(pipe(ends_.data()), 0);
        dup2(ends_[1], STDERR_FILENO);
        close(ends_[1]);
        fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    }
    StandardError(const StandardError&) = delete;
    StandardError& operator=(const StandardError&) = delete;
    ~StandardError() {
        dup2(kept_, STDERR_FILENO);
        close(kept_);
        close_reader();
    }
    std::string read_all() {
        std::string text;
        std::array<char, 65536> buffer;
        for (ssize_t n = 0; (n = read(ends_[0], buffer.data(), buffer.size())) > 0;) {
            text.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return text;
    }
    void close_reader() {
        if (ends_[0] >= 0) { close(ends_[0]); }
        ends_[0] = -1;
    }

private:
    int kept_;
    std::array<int, 2> ends_{};
};

class Console : public TextSinkTest {
protected:
    std::shared_ptr<Sink> sink(ConsoleFormat format = ConsoleFormat::text) {
        return make_console_sink(
            io.get_executor(), {.format = format, .stream = ConsoleStream::standard_error}, log);
    }
    std::string shown(const std::shared_ptr<const Batch>& batch) {
        StandardError read;
        EXPECT_EQ(send(*sink(), batch).exported, batch->records);
        return read.read_all();
    }
};

template <class Attributes>
void add(Attributes* attributes, const std::string& key, const std::string& value) {
    auto& attribute = *attributes->Add();
    attribute.set_key(key);
    attribute.mutable_value()->set_string_value(value);
}

TEST_F(Console, ShowsASpanWithItsEventsAndLinks) {
    auto request = span_request("GET /orders/{id}");
    auto& span = *request.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans(0);
    span.set_parent_span_id(std::string(8, '\x02'));
    span.mutable_status()->set_code(otlp::trace::v1::Status::STATUS_CODE_ERROR);
    span.mutable_status()->set_message("no such order");
    add(span.mutable_attributes(), "http.route", "/orders/{id}");
    auto& numbers = *span.add_attributes();
    numbers.set_key("numbers");
    auto& list = *numbers.mutable_value()->mutable_array_value();
    list.add_values()->set_int_value(-7);
    list.add_values()->set_double_value(0.5);
    list.add_values()->set_bool_value(true);
    auto& event = *span.add_events();
    event.set_time_unix_nano(1'764'225'001'130'000'000);
    event.set_name("exception");
    add(event.mutable_attributes(), "exception.type", "NotFound");
    auto& link = *span.add_links();
    link.set_trace_id(std::string(16, '\x05'));
    link.set_span_id(std::string(8, '\x06'));

    EXPECT_EQ(
        shown(batch_of(request)),
        "2025-11-27T06:30:01.123456Z span shop/orders GET /orders/{id} kind=server "
        "duration=12.345ms status=error(\"no such order\") trace=4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b "
        "span=0101010101010101 parent=0202020202020202 http.route=\"/orders/{id}\" "
        "numbers=[-7, 0.5, true]\n"
        "  2025-11-27T06:30:01.130000Z event exception exception.type=\"NotFound\"\n"
        "  link trace=05050505050505050505050505050505 span=0606060606060606\n");
}

TEST_F(Console, ShowsEachKindOfMetricPoint) {
    otlp::collector::metrics::v1::ExportMetricsServiceRequest request;
    auto& scope = *request.add_resource_metrics()->add_scope_metrics();
    scope.mutable_scope()->set_name("meter");
    constexpr std::uint64_t time = 1'764'225'001'000'000'000;
    const auto metric = [&](const std::string& name) -> otlp::metrics::v1::Metric& {
        auto& made = *scope.add_metrics();
        made.set_name(name);
        return made;
    };
    auto& sum = *metric("requests").mutable_sum()->add_data_points();
    sum.set_time_unix_nano(time);
    sum.set_as_int(-3);
    add(sum.mutable_attributes(), "route", "/");
    auto& gauge_metric = metric("load");
    gauge_metric.set_unit("1");
    auto& gauge = *gauge_metric.mutable_gauge()->add_data_points();
    gauge.set_time_unix_nano(time);
    gauge.set_as_double(1.5);
    auto& histogram = *metric("duration").mutable_histogram()->add_data_points();
    histogram.set_time_unix_nano(time);
    histogram.set_count(3);
    histogram.set_sum(6);
    histogram.set_min(1);
    histogram.set_max(3);
    auto& exponential = *metric("size").mutable_exponential_histogram()->add_data_points();
    exponential.set_time_unix_nano(time);
    exponential.set_count(2);
    exponential.set_max(9);
    auto& summary = *metric("old").mutable_summary()->add_data_points();
    summary.set_time_unix_nano(time);
    summary.set_count(4);
    summary.set_sum(2.5);

    EXPECT_EQ(
        shown(batch_of(request, Signal::metrics, 5)),
        "2025-11-27T06:30:01.000000Z sum /meter requests value=-3 route=\"/\"\n"
        "2025-11-27T06:30:01.000000Z gauge /meter load unit=1 value=1.5\n"
        "2025-11-27T06:30:01.000000Z histogram /meter duration count=3 sum=6 min=1 max=3\n"
        "2025-11-27T06:30:01.000000Z exponential_histogram /meter size count=2 max=9\n"
        "2025-11-27T06:30:01.000000Z summary /meter old count=4 sum=2.5\n");
}

TEST_F(Console, ShowsALogRecord) {
    otlp::collector::logs::v1::ExportLogsServiceRequest request;
    auto& record = *request.add_resource_logs()->add_scope_logs()->add_log_records();
    record.set_observed_time_unix_nano(1'764'225'001'000'000'000);
    record.set_severity_number(otlp::logs::v1::SEVERITY_NUMBER_WARN);
    record.set_severity_text("WARN");
    record.mutable_body()->set_string_value("late");
    record.set_trace_id(std::string(16, '\x01'));
    record.set_span_id(std::string(8, '\x02'));
    add(record.mutable_attributes(), "key", "value");

    EXPECT_EQ(
        shown(batch_of(request, Signal::logs)),
        "2025-11-27T06:30:01.000000Z log / WARN \"late\" trace=01010101010101010101010101010101 "
        "span=0202020202020202 key=\"value\"\n");
}

TEST_F(Console, LetsNoTextFromOutsideReachTheTerminal) {
    auto request = span_request("\x1b[31mred\r\nspan forged");
    auto& span = *request.mutable_resource_spans(0)->mutable_scope_spans(0)->mutable_spans(0);
    add(span.mutable_attributes(), "a\nb", "quote\" \\ \x07 end");
    const auto text = shown(batch_of(request));
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\r")));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
    EXPECT_THAT(text, HasSubstr(R"(a b="quote\" \\   end")"));
}

TEST_F(Console, CutsValuesInValuesShort) {
    auto request = span_request("deep");
    auto* value = request.mutable_resource_spans(0)
                      ->mutable_scope_spans(0)
                      ->mutable_spans(0)
                      ->add_attributes()
                      ->mutable_value();
    for (int i = 0; i < 200; ++i) { value = value->mutable_array_value()->add_values(); }
    EXPECT_THAT(shown(batch_of(request)), HasSubstr("[[...]]"));
}

TEST_F(Console, ShowsARequestAsALineOfJson) {
    StandardError read;
    const auto to = sink(ConsoleFormat::json);
    EXPECT_EQ(send(*to, batch_of(span_request("one"))).exported, 1u);
    EXPECT_EQ(send(*to, batch_of(span_request("two"))).exported, 1u);
    std::istringstream text(read.read_all());
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) { lines.push_back(line); }
    EXPECT_THAT(names_in(lines), ElementsAre("one", "two"));
}

TEST_F(Console, WaitsForASlowReaderWithoutHoldingUpTheLoop) {
    StandardError slow;
    const auto to = sink();
    const std::string name(500, 'n');
    std::size_t sent = 0;
    std::string text;
    run(io, [&]() -> asio::awaitable<void> {
        asio::co_spawn(
            io,
            [&]() -> asio::awaitable<void> {
                for (; sent < 500; ++sent) {
                    const auto outcome = co_await to->send(batch_of(span_request(name)));
                    EXPECT_EQ(outcome.exported, 1u);
                }
            },
            [](const std::exception_ptr& error) {
                if (error) { std::rethrow_exception(error); }
            });
        asio::steady_timer pause(io, 100ms);
        co_await pause.async_wait(asio::use_awaitable);
        EXPECT_GT(sent, 50u);
        EXPECT_LT(sent, 500u) << "the pipe is full, and this still runs";
        EXPECT_TRUE(co_await eventually([&] {
            text += slow.read_all();
            return sent == 500;
        }));
    });
    text += slow.read_all();
    std::istringstream lines(text);
    std::size_t whole = 0;
    for (std::string line; std::getline(lines, line); ++whole) {
        EXPECT_THAT(line, HasSubstr(name + " kind=server"));
    }
    EXPECT_EQ(whole, 500u);
}

TEST_F(Console, WithoutAReaderEndsNeitherTheProgramNorWaitsAtAStop) {
    StandardError gone;
    gone.close_reader();
    const auto to = sink();
    const auto outcome =
        send_while(*to, batch_of(span_request("one")), [&]() -> asio::awaitable<void> {
            co_await to->stop(std::chrono::steady_clock::now());
        });
    EXPECT_EQ(outcome.dropped, 1u);
    EXPECT_EQ(outcome.reason, DropReason::shutdown);
    EXPECT_THAT(logged.front(), HasSubstr("standard error: Broken pipe"));
}

TEST_F(Console, OfABatchThatIsNoProtobufShowsNothing) {
    for (const auto format : {ConsoleFormat::text, ConsoleFormat::json}) {
        auto batch = std::make_shared<Batch>();
        batch->records = 3;
        batch->body = "\x0a\x05";
        const auto outcome = send(*sink(format), batch);
        EXPECT_EQ(outcome.dropped, 3u);
        EXPECT_EQ(outcome.reason, DropReason::encode_failed);
    }
}

} // namespace
} // namespace weft::testing
