#include "reader.hpp"

#include <weft/custom_metrics/handler.hpp>
#include <weft/runtime/clock.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/detail/instrument_names.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace weft {
namespace {

using Refusal = detail::CustomMetricsRefusal;
using Item = detail::CustomMetricsItem;

void append_json_text(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : printable(text, 512)) {
        if (c == '"' || c == '\\') { out += '\\'; }
        out += c;
    }
    out += '"';
}

std::string error_body(const Refusal& refusal) {
    std::string body = "{\"error\": {";
    if (refusal.index) { body += fmt::format("\"index\": {}, ", *refusal.index); }
    if (!refusal.field.empty()) {
        body += "\"field\": ";
        append_json_text(body, refusal.field);
        body += ", ";
    }
    body += "\"reason\": ";
    append_json_text(body, refusal.reason);
    return body + "}}\n";
}

CustomMetricsResponse answer(const Refusal& refusal) {
    CustomMetricsResponse response;
    response.status = refusal.status;
    response.body = error_body(refusal);
    return response;
}

CustomMetricsResponse answer(unsigned status, std::string reason) {
    return answer(Refusal{status, {}, {}, std::move(reason)});
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return lower(x) == lower(y);
    });
}

bool is_json(std::string_view content_type) noexcept {
    auto type = content_type.substr(0, content_type.find(';'));
    type = type.substr(0, type.find_last_not_of(" \t") + 1);
    return same_word(type, "application/json");
}

// A leaky bucket kept as one number: the time at which everything granted so far is paid for.
class Rate {
public:
    Rate(double per_second, std::uint32_t burst) noexcept
        : interval_ns_(std::llround(1e9 / per_second)),
          ahead_ns_max_(std::llround(
              1e9 / per_second * ((burst == 0 ? std::max(per_second, 1.0) : burst) - 1))) {}

    /// 0, or how long to wait.
    [[nodiscard]] std::int64_t take(std::int64_t now_ns) noexcept {
        const auto from = std::max(paid_until_ns_, now_ns);
        if (from - now_ns > ahead_ns_max_) { return from - now_ns - ahead_ns_max_; }
        paid_until_ns_ = from + interval_ns_;
        return 0;
    }

private:
    std::int64_t interval_ns_;
    std::int64_t ahead_ns_max_;
    std::int64_t paid_until_ns_ = std::numeric_limits<std::int64_t>::min();
};

// An instrument that somebody has posted to. It stays as it is, so that it can be used without the mutex.
struct Known {
    Known(const detail::KeptInstrument& kept, InstrumentKind kind_of)
        : kind(kind_of),
          instrument(kept.meter, kind_of, false, kept.name, kept.options, kept.where) {}

    InstrumentKind kind;
    detail::InstrumentBase instrument;
    [[nodiscard]] std::string_view unit() const noexcept { return instrument.options().unit; }
};

} // namespace

struct CustomMetricsHandler::State {
    explicit State(CustomMetricsOptions given)
        : options(std::move(given)), authorization(options.authorization),
          rate(options.requests_per_second, options.burst) {
        options.authorization = {}; // The secrets are digests from now on.
    }

    [[nodiscard]] CustomMetricsResponse unauthorized() const {
        auto response = answer(401, "unauthorized");
        response.www_authenticate = authorization.challenge("metrics");
        return response;
    }
    /// The answer to what is wrong before the body is read.
    [[nodiscard]] std::optional<CustomMetricsResponse> refuse(const CustomMetricsRequest& request);
    [[nodiscard]] CustomMetricsResponse respond(const CustomMetricsRequest& request);
    /// Finds or makes the instruments of all items, or of none. The caller holds the mutex.
    [[nodiscard]] std::optional<Refusal> settle(
        std::span<const Item> items, std::vector<const Known*>& found);
    [[nodiscard]] std::optional<Refusal> conflict(
        std::size_t index, const Item& item, InstrumentKind kind, std::string_view unit) const;
    void count(const CustomMetricsResponse& response);

    CustomMetricsOptions options;
    const Authorization authorization;
    mutable std::mutex mutex; // Guards everything below.
    Rate rate;
    std::map<std::string, Known, std::less<>> known; // By the name in small letters.
    CustomMetricsStats stats;
};

std::optional<CustomMetricsResponse> CustomMetricsHandler::State::refuse(
    const CustomMetricsRequest& request) {
    if (!authorization.allows(request.authorization)) { return unauthorized(); }
    std::int64_t wait_ns = 0;
    {
        const std::lock_guard lock(mutex);
        wait_ns = rate.take(steady_now_ns());
    }
    if (wait_ns > 0) {
        auto response = answer(
            429, fmt::format(
                     "more than {} requests per second: send several measurements in one, as an "
                     "array",
                     options.requests_per_second));
        response.retry_after = fmt::format("{}", (wait_ns + 999'999'999) / 1'000'000'000);
        return response;
    }
    if (request.method != "POST") {
        auto response = answer(405, "only POST");
        response.allow = "POST";
        return response;
    }
    if (request.body.size() > options.body_bytes_max) {
        return answer(
            413, fmt::format(
                     "the body has {} bytes: allowed are {}; send it in several requests",
                     request.body.size(), options.body_bytes_max));
    }
    if (!is_json(request.content_type)) {
        return answer(
            415, fmt::format(
                     "Content-Type is \"{}\": allowed is application/json",
                     printable(request.content_type, 64)));
    }
    if (!request.content_encoding.empty() && !same_word(request.content_encoding, "identity")) {
        return answer(
            415, fmt::format(
                     "Content-Encoding is \"{}\": send the body as it is",
                     printable(request.content_encoding, 64)));
    }
    if (options.meter.provider() == nullptr) {
        auto response = answer(503, "metrics are switched off or shut down: nothing was recorded");
        response.retry_after = "1";
        return response;
    }
    return std::nullopt;
}

std::optional<Refusal> CustomMetricsHandler::State::conflict(
    std::size_t index, const Item& item, InstrumentKind kind, std::string_view unit) const {
    if (item.kind != kind) {
        return Refusal{
            409, index, "type",
            fmt::format(
                "{} is of type {}, not {}", item.name, detail::type_name(kind),
                detail::type_name(item.kind))};
    }
    if (item.unit && *item.unit != unit) {
        return Refusal{
            409, index, "unit",
            fmt::format(
                "{} has the unit \"{}\", not \"{}\"", item.name, printable(unit, 64),
                printable(*item.unit, 64))};
    }
    return std::nullopt;
}

std::optional<Refusal> CustomMetricsHandler::State::settle(
    std::span<const Item> items, std::vector<const Known*>& found) {
    std::map<std::string_view, const Item*> fresh;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto& item = items[i];
        std::optional<Refusal> wrong;
        if (const auto at = known.find(item.key); at != known.end()) {
            wrong = conflict(i, item, at->second.kind, at->second.unit());
        } else if (const auto before = fresh.find(item.key); before != fresh.end()) {
            const auto& first = *before->second;
            wrong = conflict(i, item, first.kind, first.unit.value_or(std::string_view()));
        } else if (known.size() + fresh.size() >= options.names_max) {
            wrong = Refusal{
                403, i, "name",
                fmt::format(
                    "there are {} names already, the most that is allowed: put what varies into "
                    "labels",
                    options.names_max)};
        } else {
            fresh.emplace(item.key, &item);
        }
        if (wrong) { return wrong; }
    }
    for (const auto& [key, item] : fresh) {
        const auto kept = detail::keep_instrument(detail::InstrumentBase(
            options.meter, item->kind, false, item->name,
            {.unit = item->unit.value_or(std::string_view()), .description = item->description},
            std::source_location::current()));
        if (kept.name.empty()) {
            return Refusal{503, {}, {}, "the process has no room for more instruments"};
        }
        known.try_emplace(std::string(key), kept, item->kind);
    }
    found.reserve(items.size());
    for (const auto& item : items) { found.push_back(&known.find(item.key)->second); }
    return std::nullopt;
}

CustomMetricsResponse CustomMetricsHandler::State::respond(const CustomMetricsRequest& request) {
    if (auto refusal = refuse(request)) { return std::move(*refusal); }
    detail::CustomMetricsReader reader(options);
    const auto now_ns = steady_now_ns() + wall_offset_ns();
    if (const auto refusal = reader.read(request.body, now_ns)) { return answer(*refusal); }
    const auto items = reader.items();
    CustomMetricsResponse response;
    response.body = fmt::format("{{\"accepted\": {}}}\n", items.size());
    std::vector<const Known*> found;
    {
        const std::lock_guard lock(mutex);
        if (const auto refusal = settle(items, found)) { return answer(*refusal); }
        stats.items += items.size();
    }
    for (std::size_t i = 0; i < items.size(); ++i) { // From here on nothing can fail.
        detail::record_floating(found[i]->instrument, items[i].value, reader.labels(items[i]));
    }
    return response;
}

void CustomMetricsHandler::State::count(const CustomMetricsResponse& response) {
    const std::lock_guard lock(mutex);
    auto& counter = response.status == 200   ? stats.accepted
                    : response.status == 401 ? stats.unauthorized
                    : response.status == 429 ? stats.rate_limited
                    : response.status == 503 ? stats.unavailable
                                             : stats.refused;
    ++counter;
}

CustomMetricsHandler::CustomMetricsHandler(CustomMetricsOptions options) {
    if (auto problem = problem_in(options); !problem.empty()) {
        throw std::invalid_argument("CustomMetricsOptions: " + problem);
    }
    state_ = std::make_unique<State>(std::move(options));
}

CustomMetricsHandler::~CustomMetricsHandler() = default;
CustomMetricsHandler::CustomMetricsHandler(CustomMetricsHandler&&) noexcept = default;
CustomMetricsHandler& CustomMetricsHandler::operator=(CustomMetricsHandler&&) noexcept = default;

CustomMetricsResponse CustomMetricsHandler::handle(const CustomMetricsRequest& request) {
    auto response = state_->respond(request);
    state_->count(response);
    return response;
}

CustomMetricsStats CustomMetricsHandler::stats() const {
    const std::lock_guard lock(state_->mutex);
    auto stats = state_->stats;
    stats.names = state_->known.size();
    return stats;
}

} // namespace weft
