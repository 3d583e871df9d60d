#include "text.hpp"

#include <weft/viewer/trace_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string>

namespace weft::viewer {
namespace {

using otlp::counted;

// Attributes that repeat what the line already says, or that seldom help to see what a request did.
constexpr std::array<std::string_view, 11> left_out{"http.request.method",
                                                    "http.route",
                                                    "url.scheme",
                                                    "network.",
                                                    "user_agent.",
                                                    "client.",
                                                    "server.port",
                                                    "thread.",
                                                    "code.",
                                                    "telemetry.",
                                                    "exception.stacktrace"};

bool is_left_out(std::string_view key) {
    // A trailing point stands for the whole family.
    return std::any_of(left_out.begin(), left_out.end(), [&](std::string_view entry) {
        return entry.ends_with('.') ? key.starts_with(entry) : key == entry;
    });
}

std::string_view kind_name(std::int32_t kind) {
    constexpr std::array<std::string_view, 6> names{"",       "internal", "server",
                                                    "client", "producer", "consumer"};
    const auto index = static_cast<std::size_t>(kind);
    return index < names.size() ? names[index] : "unknown kind";
}

class Printer {
public:
    Printer(const StoredTrace& trace, const TextOptions& options)
        : trace_(trace), options_(options) {}

    std::string print() {
        headline();
        link();
        for (const std::size_t root : roots_) { walk(root); }
        // Spans that name each other as parents hang on no root; start with the earliest of each
        // ring.
        for (const std::size_t span : order_) {
            if (!visited_[span]) { walk(span); }
        }
        if (lines_ > options_.lines_max) {
            out_ +=
                fmt::format("  ... {} not shown\n", counted(lines_ - options_.lines_max, "span"));
        }
        return std::move(out_);
    }

private:
    // Where a span is drawn. `rails` holds, for each level above, whether another sibling follows
    // there.
    struct Place {
        std::size_t span;
        std::size_t depth;
        bool is_last;
    };

    void headline() {
        std::set<std::string_view> services;
        for (const StoredSpan& span : trace_.spans()) { services.insert(span.service); }
        out_ += style("\x1b[1m", fmt::format("trace {}", trace_.id().to_hex()));
        out_ += fmt::format(
            ": {}, {}, {}", counted(trace_.spans().size(), "span"),
            counted(services.size(), "service"), format_duration(trace_.duration_ns()));
        if (trace_.error_count() > 0) {
            out_ += ", " + style("\x1b[31m", counted(trace_.error_count(), "error"));
        }
        if (trace_.is_broken()) {
            out_ += ", " + style(
                               "\x1b[31m", fmt::format(
                                               "BROKEN: {} without a parent",
                                               counted(trace_.spans_without_parent(), "span")));
        }
        out_ += '\n';
    }

    // Finds each span's children, in order of start.
    void link() {
        const auto& spans = trace_.spans();
        order_.resize(spans.size());
        for (std::size_t i = 0; i < spans.size(); ++i) { order_[i] = i; }
        std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
            if (spans[a].start_ns != spans[b].start_ns) {
                return spans[a].start_ns < spans[b].start_ns;
            }
            // Clocks are coarse: of two spans with one start, the longer is the likelier parent or
            // elder.
            if (spans[a].end_ns != spans[b].end_ns) { return spans[a].end_ns > spans[b].end_ns; }
            return spans[a].id < spans[b].id;
        });
        std::unordered_map<SpanId, std::size_t, detail::SeededHash> by_id;
        for (std::size_t i = 0; i < spans.size(); ++i) { by_id.emplace(spans[i].id, i); }
        children_.resize(spans.size());
        visited_.resize(spans.size());
        for (const std::size_t i : order_) {
            const auto parent = by_id.find(spans[i].parent);
            if (parent == by_id.end()) {
                roots_.push_back(i);
            } else {
                children_[parent->second].push_back(i);
            }
        }
    }

    // Depth first, with a stack of its own: a hostile trace can be a chain of a million spans.
    void walk(std::size_t root) {
        std::vector<Place> stack{{root, 0, true}};
        std::vector<bool> rails; // For each level that is drawn: does another sibling follow there?
        while (!stack.empty()) { // Ends: a span is visited once.
            const Place place = stack.back();
            stack.pop_back();
            if (visited_[place.span]) { continue; }
            visited_[place.span] = true;
            const std::size_t level = std::min(place.depth, options_.depth_max);
            rails.resize(level + 1);
            rails[level] = !place.is_last;
            if (++lines_ <= options_.lines_max) { line(place, rails, level); }
            const auto& children = children_[place.span];
            for (std::size_t i = children.size(); i > 0; --i) {
                stack.push_back({children[i - 1], place.depth + 1, i == children.size()});
            }
        }
    }

    void line(const Place& place, const std::vector<bool>& rails, std::size_t level) {
        const StoredSpan& span = trace_.spans()[place.span];
        const std::uint64_t offset = span.start_ns - std::min(span.start_ns, trace_.start_ns());
        const std::uint64_t duration = span.end_ns - std::min(span.end_ns, span.start_ns);
        const auto times =
            fmt::format("{:>11}{:>11}  ", "+" + format_duration(offset), format_duration(duration));
        out_ += style("\x1b[2m", times);
        for (std::size_t i = 1; i < level; ++i) { out_ += rails[i] ? "│  " : "   "; }
        if (level > 0) { out_ += place.is_last ? "└─ " : "├─ "; }
        out_ += style("\x1b[36m", printable(span.service, options_.name_chars_max)) + ": ";
        out_ += style("\x1b[1m", printable(span.name, options_.name_chars_max));
        if (const auto kind = kind_name(span.kind); !kind.empty()) {
            out_ += fmt::format(" [{}]", kind);
        }
        outcome(span);
        if (span.parent.is_valid() && !trace_.contains(span.parent)) {
            out_ += style("\x1b[31m", fmt::format(" (parent {} missing)", span.parent.to_hex()));
        } else if (place.depth == 0 && span.parent.is_valid()) {
            out_ += style("\x1b[31m", " (its parents form a ring)");
        }
        attributes(span.attributes, span.attributes_hidden);
        out_ += '\n';
        events(span, place, rails, level);
    }

    // Below the span, each at its own time within the trace.
    void events(
        const StoredSpan& span, const Place& place, const std::vector<bool>& rails,
        std::size_t level) {
        std::string left;
        for (std::size_t i = 1; i <= level; ++i) { left += rails[i] ? "│  " : "   "; }
        left += children_[place.span].empty() ? "   " : "│  ";
        const std::size_t shown = std::min(span.events.size(), options_.events_max);
        for (std::size_t i = 0; i < shown; ++i) {
            const StoredEvent& event = span.events[i];
            const auto offset = event.time_ns - std::min(event.time_ns, trace_.start_ns());
            out_ += style("\x1b[2m", fmt::format("{:>11}{:13}", "+" + format_duration(offset), ""));
            out_ += left + "· " + printable(event.name, options_.name_chars_max);
            attributes(event.attributes, event.attributes_hidden);
            out_ += '\n';
        }
        if (const auto hidden = span.events_hidden + (span.events.size() - shown); hidden > 0) {
            out_ += fmt::format("{:24}{}· ... {} not shown\n", "", left, counted(hidden, "event"));
        }
    }

    void outcome(const StoredSpan& span) {
        if (span.is_error()) {
            const auto text = printable(span.error, options_.name_chars_max);
            out_ += ' ' + style("\x1b[31m", text.empty() ? "ERROR" : "ERROR " + text);
        } else if (span.status == 1) {
            out_ += " OK";
        }
    }

    void attributes(const TextAttributes& all, std::uint64_t hidden) {
        std::size_t shown = 0;
        std::uint64_t kept_back = hidden;
        for (const auto& [key, value] : all) {
            if (is_left_out(key)) { continue; }
            if (shown == options_.attributes_max) {
                ++kept_back;
                continue;
            }
            out_ += shown++ == 0 ? "  " : " ";
            const bool is_error_text = key == "exception.message";
            out_ += fmt::format(
                "{}={}", printable(key, options_.name_chars_max),
                printable(
                    value, is_error_text ? options_.name_chars_max : options_.value_chars_max));
        }
        if (kept_back > 0) { out_ += fmt::format(" (+{})", kept_back); }
    }

    [[nodiscard]] std::string style(std::string_view escape, std::string_view text) const {
        return options_.colour ? fmt::format("{}{}\x1b[0m", escape, text) : std::string(text);
    }

    const StoredTrace& trace_;
    const TextOptions& options_;
    std::string out_;
    std::vector<std::size_t> order_;
    std::vector<std::size_t> roots_;
    std::vector<std::vector<std::size_t>> children_;
    std::vector<bool> visited_;
    std::size_t lines_ = 0;
};

} // namespace

std::string format_duration(std::uint64_t nanoseconds) {
    if (nanoseconds < 1'000) { return fmt::format("{} ns", nanoseconds); }
    struct Unit {
        double nanoseconds;
        std::string_view name;
    };
    constexpr std::array<Unit, 3> units{{{1e3, "us"}, {1e6, "ms"}, {1e9, "s"}}};
    for (const Unit& unit : units) {
        const double value = static_cast<double>(nanoseconds) / unit.nanoseconds;
        // 999.95 would be rounded up to 1000.0: that belongs to the next unit.
        if (value < 999.95 || unit.name == "s") {
            return fmt::format(
                "{:.{}f} {}", value,
                value < 9.995    ? 2
                : value < 999.95 ? 1
                                 : 0,
                unit.name);
        }
    }
    return {};
}

std::string printable(std::string_view text, std::size_t chars_max) {
    std::string out;
    std::size_t chars = 0;
    while (!text.empty()) {
        if (chars++ == chars_max) { return out + "..."; }
        char32_t code_point = 0;
        const std::size_t length = otlp::utf8_length(text, code_point);
        if (length == 0) {
            out += "\xef\xbf\xbd";
            text.remove_prefix(1);
            continue;
        }
        const bool is_control = code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
        // Marks that turn the direction of writing can make a line say something else than it does.
        const bool is_direction = (code_point >= 0x202a && code_point <= 0x202e) ||
                                  (code_point >= 0x2066 && code_point <= 0x2069) ||
                                  code_point == 0x2028 || code_point == 0x2029;
        if (is_control) {
            out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(code_point));
        } else if (is_direction) {
            out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code_point));
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length);
    }
    return out;
}

std::string format_trace(const StoredTrace& trace, const TextOptions& options) {
    return Printer(trace, options).print();
}

} // namespace weft::viewer
