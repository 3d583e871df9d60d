#pragma once
#include "loop.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace weft::testing {

/// An io_context, a sink for its spans, and the claim that nothing was misused.
class SpawnFixture : public WithoutFaults {
protected:
    // The names of the spans that have ended, each with its parent: "child<parent".
    [[nodiscard]] std::vector<std::string> families() {
        const SpanIndex spans(sink.take());
        std::vector<std::string> out;
        for (const auto& span : spans.all()) {
            out.push_back(span.name + "<" + spans.parent_of(span.name));
        }
        std::sort(out.begin(), out.end());
        return out;
    }
    using Families = std::vector<std::string>;

    SpanSink sink;
    asio::io_context io{1};
};

} // namespace weft::testing
