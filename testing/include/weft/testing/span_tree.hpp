#pragma once
// Spans as the trees they form.

#include <weft/testing/finished_span.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace weft::testing {

/// Who is whose child. Siblings, roots and traces are in order of start; spans that start together, the longer first.
/// Lifetime: `spans` must outlive it, unchanged.
class SpanTree {
public:
    explicit SpanTree(const std::vector<FinishedSpan>& spans);

    [[nodiscard]] const std::vector<FinishedSpan>& spans() const noexcept { return *spans_; }
    /// Indices of the spans that stand on top: without a parent, with a remote one, with one that is not among the
    /// spans, and one span of each ring of parents.
    [[nodiscard]] const std::vector<std::size_t>& tops() const noexcept { return tops_; }
    [[nodiscard]] const std::vector<std::size_t>& children(std::size_t span) const {
        return children_[span];
    }
    /// Its parent should be among the spans and is not: it has not ended, or was lost, or the context was.
    [[nodiscard]] bool is_orphan(std::size_t span) const;

private:
    const std::vector<FinishedSpan>* spans_;
    std::vector<std::size_t> tops_;
    std::vector<std::vector<std::size_t>> children_;
    std::vector<bool> has_parent_; // Among the spans.
};

/// Every trace as indented text: a headline, then one line a span with kind, duration, status and attributes, and below
/// it its links and events. The same spans give the same text, whatever order they came in.
[[nodiscard]] std::string to_tree_text(const std::vector<FinishedSpan>& spans);

/// The line of one span, without its place in a tree.
[[nodiscard]] std::string to_line(const FinishedSpan& span);

} // namespace weft::testing
