// Shows: your own code at the start and the end of every span, and where a recorded exception was thrown.
// Expect: both spans with the tenant of the request's baggage, one error counted for the route, the stack of the throw.

#include <weft/signals/span_processor.hpp>
#include <weft/weft.hpp>

#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

// [readme:start]
// Puts the tenant, which came with the request as baggage, on every span below it.
class TenantOnSpans final : public weft::SpanProcessor {
    void on_start(weft::ReadWriteSpan& span, const weft::TraceContext&) override {
        const auto baggage = weft::current_baggage();
        if (const auto tenant = baggage.get("tenant")) { span.set_attribute("tenant", *tenant); }
    }
};
// [/readme:start]

// [readme:end]
// Counts errors by route. A processor is called on many threads at once.
class ErrorsByRoute final : public weft::SpanProcessor {
public:
    std::map<std::string, int, std::less<>> counts() const {
        const std::lock_guard lock(mutex_);
        return counts_;
    }

private:
    void on_end(const weft::ReadableSpan& span) override {
        if (span.status() != weft::StatusCode::error) { return; }
        const auto route = span.attribute("http.route");
        if (!route) { return; }
        const std::lock_guard lock(mutex_);
        ++counts_[std::string(route->string())];
    }

    mutable std::mutex mutex_; // Guards counts_.
    std::map<std::string, int, std::less<>> counts_;
};
// [/readme:end]

// Prints what it sees; a program would hardly.
class Printed final : public weft::SpanProcessor {
    void on_end(const weft::ReadableSpan& span) override {
        const std::string name(span.name());
        for (const auto& [key, value] : span.attributes()) {
            std::printf(
                "%s: %s=%s\n", name.c_str(), std::string(key).c_str(),
                std::string(value.string()).c_str());
        }
        for (const auto event : span.events()) {
            for (const auto& [key, value] : event.attributes) {
                if (key == "exception.stacktrace") {
                    std::printf("%s", std::string(value.string()).c_str());
                }
            }
        }
    }
};

namespace {

[[gnu::noinline]] void load_order() { throw std::runtime_error("no such order"); }

void handle_request() {
    const auto scope = weft::with(weft::Baggage().set("tenant", "acme"));
    weft::Span request("GET /orders/{id}", {{"http.route", "/orders/{id}"}});
    // [readme:exception]
    try {
        weft::Span work("load order");
        load_order();
    } catch (const std::exception& error) {
        request.record_exception(error); // With weft::throw_traces linked, the stack of the throw.
        request.set_error("std::runtime_error", error.what());
    }
    // [/readme:exception]
}

} // namespace

int main() {
    weft::Options options;
    options.traces_exporter = weft::ExporterKind::none; // Processors alone: no receiver is needed.
    // [readme:options]
    const auto errors = std::make_shared<ErrorsByRoute>();
    options.span_processors = {std::make_shared<TenantOnSpans>(), errors};
    // [/readme:options]
    options.span_processors.push_back(std::make_shared<Printed>());
    weft::Runtime runtime(std::move(options));
    handle_request();
    for (const auto& [route, count] : errors->counts()) {
        std::printf("%s: %d error(s)\n", route.c_str(), count);
    }
    return errors->counts().size() == 1 ? 0 : 1;
}
