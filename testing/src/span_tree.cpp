#include <weft/testing/span_tree.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

namespace weft::testing {
namespace {

// As people write it, four digits at most: "850 ns", "12.3 us", "1.25 s".
std::string duration_text(std::int64_t ns) {
    const std::string_view sign = ns < 0 ? "-" : "";
    const auto size = ns < 0 ? -static_cast<double>(ns) : static_cast<double>(ns);
    if (size < 1e3) { return fmt::format("{}{:.0f} ns", sign, size); }
    constexpr std::array<std::pair<double, std::string_view>, 3> units{
        {{1e3, "us"}, {1e6, "ms"}, {1e9, "s"}}};
    for (const auto& [unit, name] : units) {
        const double value = size / unit;
        if (value >= 999.95 && name != "s") { continue; } // Would be rounded up to 1000.0.
        const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
        return fmt::format("{}{:.{}f} {}", sign, value, digits, name);
    }
    return {};
}

std::string_view kind_name(SpanKind kind) noexcept {
    switch (kind) {
    case SpanKind::internal:
        return "internal";
    case SpanKind::server:
        return "server";
    case SpanKind::client:
        return "client";
    case SpanKind::producer:
        return "producer";
    case SpanKind::consumer:
        return "consumer";
    }
    return "unknown kind";
}

std::string counted(std::size_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

void put_attributes(std::string& out, const Attributes& attributes, std::uint32_t dropped) {
    for (const auto& [key, value] : attributes) {
        out += fmt::format(" {}={}", key, to_text(value));
    }
    if (dropped != 0) { out += fmt::format(" (+{} dropped)", dropped); }
}

class Printer {
public:
    explicit Printer(const std::vector<FinishedSpan>& spans) : spans_(spans), tree_(spans) {}

    std::string print() {
        if (spans_.empty()) { return "no spans\n"; }
        std::map<TraceId, std::size_t> sizes;
        for (const auto& span : spans_) { ++sizes[span.trace_id]; }
        std::map<TraceId, std::vector<std::size_t>> tops;
        for (const auto top : tree_.tops()) { tops[spans_[top].trace_id].push_back(top); }
        for (const auto first : tree_.tops()) { // A trace stands where its earliest top stands.
            const auto& trace = spans_[first].trace_id;
            if (tops[trace].front() != first) { continue; }
            out_ += fmt::format("trace {}: {}\n", trace.to_hex(), counted(sizes[trace], "span"));
            for (const auto top : tops[trace]) { walk(top); }
        }
        return std::move(out_);
    }

private:
    // Depth first, with a stack of its own: a test may make a chain of a hundred thousand spans.
    void walk(std::size_t top) {
        std::vector<std::pair<std::size_t, std::size_t>> stack{{top, 1}};
        while (!stack.empty()) { // Ends: every span is below one other.
            const auto [span, depth] = stack.back();
            stack.pop_back();
            put_span(span, depth);
            const auto& children = tree_.children(span);
            for (auto i = children.size(); i > 0; --i) {
                stack.emplace_back(children[i - 1], depth + 1);
            }
        }
    }

    void put_span(std::size_t index, std::size_t depth) {
        const auto& span = spans_[index];
        const std::string indent(2 * std::min(depth, depth_max), ' ');
        out_ += indent + to_line(span);
        if (tree_.is_orphan(index)) {
            out_ += fmt::format(" (parent {} is missing)", span.parent_id.to_hex());
        } else if (span.has_remote_parent() && depth == 1) {
            out_ += fmt::format(" (parent {} is remote)", span.parent_id.to_hex());
        }
        out_ += '\n';
        for (const auto& link : span.links) {
            out_ += fmt::format(
                "{}    -> trace {}, span {}", indent, link.trace_id.to_hex(),
                link.span_id.to_hex());
            put_attributes(out_, link.attributes, link.dropped_attributes);
            out_ += '\n';
        }
        for (const auto& event : span.events) {
            out_ += fmt::format(
                "{}    * {} +{}", indent, event.name,
                duration_text(event.unix_ns - span.start_unix_ns));
            put_attributes(out_, event.attributes, event.dropped_attributes);
            out_ += '\n';
        }
    }

    static constexpr std::size_t depth_max = 60; // Deeper spans are drawn there.
    const std::vector<FinishedSpan>& spans_;
    const SpanTree tree_;
    std::string out_;
};

} // namespace

SpanTree::SpanTree(const std::vector<FinishedSpan>& spans)
    : spans_(&spans), children_(spans.size()), has_parent_(spans.size()) {
    std::vector<std::size_t> order(spans.size());
    for (std::size_t i = 0; i < order.size(); ++i) { order[i] = i; }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        // Clocks are coarse: of two spans with one start, the longer is the likelier elder.
        const auto key = [&](std::size_t i) {
            return std::tuple(spans[i].start_unix_ns, -spans[i].end_unix_ns, spans[i].span_id, i);
        };
        return key(a) < key(b);
    });
    std::map<std::pair<TraceId, SpanId>, std::size_t> by_id;
    for (const auto i : order) { by_id.emplace(std::pair(spans[i].trace_id, spans[i].span_id), i); }
    constexpr auto none = static_cast<std::size_t>(-1);
    std::vector<std::size_t> parents(spans.size(), none);
    for (const auto i : order) {
        const auto parent = by_id.find({spans[i].trace_id, spans[i].parent_id});
        if (!spans[i].is_root() && parent != by_id.end()) {
            has_parent_[i] = true;
            parents[i] = parent->second;
        }
    }
    // Up from each span: a walk that meets itself has found a ring, and where it does becomes a top.
    std::vector<std::size_t> walked_by(spans.size(), none);
    for (const auto i : order) {
        auto at = i;
        while (at != none && walked_by[at] == none) { // Bound: the spans, over all walks.
            walked_by[at] = i;
            at = parents[at];
        }
        if (at != none && walked_by[at] == i) { parents[at] = none; }
    }
    for (const auto i : order) {
        (parents[i] == none ? tops_ : children_[parents[i]]).push_back(i);
    }
}

bool SpanTree::is_orphan(std::size_t span) const {
    const auto& it = (*spans_)[span];
    return !it.is_root() && !has_parent_[span] && !it.has_remote_parent();
}

std::string to_line(const FinishedSpan& span) {
    std::string out = span.name;
    if (span.kind != SpanKind::internal) { out += fmt::format(" [{}]", kind_name(span.kind)); }
    out += " " + duration_text(span.duration_ns());
    if (span.status == StatusCode::ok) { out += " OK"; }
    if (span.status == StatusCode::error) {
        out += " ERROR";
        if (!span.status_description.empty()) {
            out += " " + to_text(Value(span.status_description));
        }
    }
    put_attributes(out, span.attributes, span.dropped_attributes);
    if (span.dropped_events != 0) {
        out += fmt::format(" ({} dropped)", counted(span.dropped_events, "event"));
    }
    if (span.dropped_links != 0) {
        out += fmt::format(" ({} dropped)", counted(span.dropped_links, "link"));
    }
    return out;
}

std::string to_tree_text(const std::vector<FinishedSpan>& spans) { return Printer(spans).print(); }

} // namespace weft::testing
