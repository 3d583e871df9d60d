#include "prometheus_auth.hpp"
#include "prometheus_fields.hpp"
#include "prometheus_turns.hpp"

#include <weft/exporters/compression.hpp>
#include <weft/exporters/prometheus_handler.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <atomic>
#include <exception>
#include <stdexcept>

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t names_max = 256;
constexpr std::size_t kept_bytes_max =
    32u << 20; // Of the text and of the compressed body, between scrapes.

PrometheusResponse plain(unsigned status, std::string_view text) {
    PrometheusResponse response;
    response.status = status;
    response.content_type = "text/plain; charset=utf-8";
    response.body = text;
    return response;
}

PrometheusResponse unavailable(std::string_view text) {
    auto response = plain(503, text);
    response.headers.push_back({"Retry-After", "1"});
    return response;
}

// One of at most so many.
class Admission {
public:
    Admission(std::atomic<std::size_t>& active, std::size_t most) : active_(active) {
        is_in_ = ++active_ <= most;
    }
    ~Admission() { --active_; }
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;
    [[nodiscard]] bool is_in() const noexcept { return is_in_; }

private:
    std::atomic<std::size_t>& active_; // Those turned away too, for a moment.
    bool is_in_;
};

} // namespace

struct PrometheusHandler::State {
    /// One scrape, as asked for.
    struct Wanted {
        PrometheusProtocol protocol;
        bool gzip = false;
        std::vector<std::string> names;
        steady_clock::time_point deadline;
    };

    /// A collection under way. It has its turn until it and whoever waits for it are both gone.
    struct Job {
        Job(std::shared_ptr<State> state_given, const asio::any_io_executor& executor)
            : state(std::move(state_given)), timer(executor) {}
        ~Job() { state->turns.give(); }
        Job(const Job&) = delete;
        Job& operator=(const Job&) = delete;

        std::shared_ptr<State> state;
        PrometheusText* text = nullptr;
        asio::steady_timer timer; // Of who waits.
        asio::cancellation_signal cancel;
        bool is_done = false;
        std::exception_ptr error;
    };

    State(
        PrometheusSource source_given, std::string resource_given,
        PrometheusHandlerOptions options_given, Diagnostics& log_given)
        : source(std::move(source_given)), resource(std::move(resource_given)),
          options(std::move(options_given)), log(log_given), auth(options.auth),
          compressor(Compression::gzip, options.gzip_level) {
        options.auth = {}; // The secrets are digests from now on.
    }

    [[nodiscard]] PrometheusResponse unauthorized() const;
    /// The answer, if none needs to be collected for it.
    [[nodiscard]] std::optional<PrometheusResponse> refuse(const PrometheusRequest& request);
    [[nodiscard]] steady_clock::time_point deadline_of(const PrometheusRequest& request) const;
    [[nodiscard]] PrometheusText& text_for(PrometheusProtocol protocol);
    [[nodiscard]] PrometheusResponse render(Job& job, const Wanted& wanted);
    static asio::awaitable<PrometheusResponse> answer(
        std::shared_ptr<State> self, PrometheusRequest request);
    static asio::awaitable<PrometheusResponse> scrape(std::shared_ptr<State> self, Wanted wanted);

    PrometheusSource source;
    std::string resource;
    PrometheusHandlerOptions options;
    Diagnostics& log;
    detail::PrometheusAuth auth;
    std::atomic<std::size_t> active{0};
    detail::Turns turns;

    // Whose turn it is has these.
    std::array<std::unique_ptr<PrometheusText>, 16> texts; // By protocol.
    Compressor compressor;

    std::atomic<std::uint64_t> scrapes{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> busy{0};
    std::atomic<std::uint64_t> timeouts{0};
    std::atomic<std::uint64_t> failures{0};
    std::atomic<std::uint64_t> points_dropped{0};
};

PrometheusResponse PrometheusHandler::State::unauthorized() const {
    auto response = plain(401, "unauthorized\n");
    if (auto challenge = auth.challenge(); !challenge.empty()) {
        response.headers.push_back({"WWW-Authenticate", std::move(challenge)});
    }
    return response;
}

std::optional<PrometheusResponse> PrometheusHandler::State::refuse(
    const PrometheusRequest& request) {
    const detail::ScraperIdentity who{
        request.authorization, request.has_client_certificate, request.client_subject};
    const auto verdict = auth.check(who);
    if (verdict != detail::AuthVerdict::allowed) {
        ++refused;
        return verdict == detail::AuthVerdict::unknown ? unauthorized() : plain(403, "forbidden\n");
    }
    if (!options.path.empty() && detail::path_of(request.target) != options.path) {
        return plain(404, "not found\n");
    }
    if (request.method != "GET" && request.method != "HEAD") {
        auto response = plain(405, "only GET and HEAD\n");
        response.headers.push_back({"Allow", "GET, HEAD"});
        return response;
    }
    return std::nullopt;
}

steady_clock::time_point PrometheusHandler::State::deadline_of(
    const PrometheusRequest& request) const {
    auto limit = options.scrape_timeout;
    if (const auto given = detail::scrape_timeout(request.scrape_timeout)) {
        // A scraper in a hurry gets half of its time rather than none.
        limit = std::min(limit, std::max(*given - options.timeout_margin, *given / 2));
    }
    return steady_clock::now() + limit;
}

PrometheusText& PrometheusHandler::State::text_for(PrometheusProtocol protocol) {
    const auto index =
        static_cast<std::size_t>(protocol.format) * 4 + static_cast<std::size_t>(protocol.escaping);
    auto& text = texts[index % texts.size()];
    if (!text) { text = std::make_unique<PrometheusText>(protocol, options.text, resource, log); }
    return *text;
}

asio::awaitable<PrometheusResponse> PrometheusHandler::State::answer(
    std::shared_ptr<State> self, PrometheusRequest request) {
    if (auto refusal = self->refuse(request)) { co_return std::move(*refusal); }
    auto names = detail::names_in_query(request.target, names_max);
    if (!names) { co_return plain(400, "the query cannot be read, or has more than 256 names\n"); }
    const Admission admission(self->active, self->options.scrapes_max);
    if (!admission.is_in()) {
        ++self->busy;
        co_return unavailable("too many scrapes at a time\n");
    }
    Wanted wanted;
    wanted.protocol = negotiate_prometheus(request.accept, self->options.fallback);
    wanted.gzip = accepts_gzip(request.accept_encoding);
    wanted.names = std::move(*names);
    wanted.deadline = self->deadline_of(request);

    const auto strand = asio::make_strand(co_await asio::this_coro::executor);
    PrometheusResponse response;
    try {
        response =
            co_await asio::co_spawn(strand, scrape(self, std::move(wanted)), asio::use_awaitable);
    } catch (const std::exception& error) {
        ++self->failures;
        self->log.report(DiagnosticLevel::error, "prometheus.scrape_failed", [&] {
            return "a scrape failed: " + printable(error.what(), 256);
        });
        response = plain(500, "the collection failed\n");
    }
    co_return response;
}

asio::awaitable<PrometheusResponse> PrometheusHandler::State::scrape(
    std::shared_ptr<State> self, Wanted wanted) {
    const auto executor = co_await asio::this_coro::executor;
    const bool has_turn = co_await self->turns.take(wanted.deadline);
    if (!has_turn) {
        ++self->timeouts;
        co_return unavailable("the scrape took too long\n");
    }
    std::shared_ptr<Job> job;
    try {
        job = std::make_shared<Job>(self, executor);
    } catch (...) {
        self->turns.give();
        throw;
    }
    job->text = &self->text_for(wanted.protocol);
    job->text->start(wanted.names);
    asio::co_spawn(
        executor, [job] { return job->state->source(*job->text); },
        asio::bind_cancellation_slot(job->cancel.slot(), [job](std::exception_ptr error) {
            job->error = std::move(error);
            job->is_done = true;
            job->timer.cancel();
        }));
    if (!job->is_done) {
        job->timer.expires_at(wanted.deadline);
        co_await job->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (!job->is_done) { // Time is over, or the caller has gone.
        ++self->timeouts;
        job->cancel.emit(asio::cancellation_type::terminal);
        co_return unavailable("the scrape took too long\n");
    }
    if (job->error) { std::rethrow_exception(job->error); }
    co_return self->render(*job, wanted);
}

PrometheusResponse PrometheusHandler::State::render(Job& job, const Wanted& wanted) {
    PrometheusResponse response;
    response.content_type = content_type(wanted.protocol);
    const auto text = job.text->finish();
    if (wanted.gzip) {
        if (const auto body = compressor.compress(text)) {
            response.body = *body;
            response.content_encoding = "gzip";
        }
        compressor.trim(kept_bytes_max);
    }
    if (response.content_encoding.empty()) { response.body = text; }
    job.text->trim(kept_bytes_max);
    std::uint64_t dropped = 0;
    for (const auto& known : texts) { dropped += known ? known->points_dropped() : 0; }
    points_dropped = dropped;
    ++scrapes;
    return response;
}

PrometheusHandler::PrometheusHandler(
    PrometheusSource source, std::string resource, PrometheusHandlerOptions options,
    Diagnostics& log) {
    if (auto problem = problem_in(options); !problem.empty()) {
        throw std::invalid_argument("PrometheusHandlerOptions: " + problem);
    }
    state_ =
        std::make_shared<State>(std::move(source), std::move(resource), std::move(options), log);
}
PrometheusHandler::~PrometheusHandler() = default;
PrometheusHandler::PrometheusHandler(PrometheusHandler&&) noexcept = default;
PrometheusHandler& PrometheusHandler::operator=(PrometheusHandler&&) noexcept = default;

asio::awaitable<PrometheusResponse> PrometheusHandler::handle(PrometheusRequest request) const {
    const bool head = request.method == "HEAD";
    const auto state = state_; // The handler may go while we wait.
    auto response = co_await State::answer(state, request);
    response.content_length = response.body.size();
    if (head) { response.body.clear(); }
    co_return response;
}

PrometheusStats PrometheusHandler::stats() const noexcept {
    PrometheusStats stats;
    stats.scrapes = state_->scrapes;
    stats.unauthorized = state_->refused;
    stats.busy = state_->busy;
    stats.timeouts = state_->timeouts;
    stats.failures = state_->failures;
    stats.points_dropped = state_->points_dropped;
    return stats;
}

} // namespace weft
