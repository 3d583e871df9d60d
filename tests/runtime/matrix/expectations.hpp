#pragma once
#include <weft/runtime/span_context.hpp>
#include <weft/testing/span_sink.hpp>

#include <gtest/gtest.h>

#include <mutex>
#include <unordered_map>

namespace weft::testing {

/// Who must be whose parent, written down by the chains themselves. Threads: add() any, check() the test's.
class Expectations {
public:
    void add(const SpanContext& span, const SpanContext& parent) {
        const std::lock_guard lock(mutex_);
        parents_.emplace(span.span_id, parent);
    }
    /// Requires that just the expected spans arrived, each with its parent and in its parent's trace.
    void check(const SpanIndex& spans) const {
        EXPECT_EQ(spans.size(), parents_.size());
        std::size_t wrong = 0;
        for (const auto& span : spans.all()) {
            const auto expected = parents_.find(span.id());
            ASSERT_NE(expected, parents_.end()) << span.name;
            const bool right = span.parent == expected->second.span_id &&
                               (!span.parent || span.trace_id() == expected->second.trace_id);
            wrong += right ? 0 : 1;
        }
        EXPECT_EQ(wrong, 0U) << "spans with the wrong parent";
    }

private:
    std::mutex mutex_; // Guards parents_ while chains run.
    std::unordered_map<SpanId, SpanContext> parents_;
};

} // namespace weft::testing
