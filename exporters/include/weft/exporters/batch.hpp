#pragma once
#include <weft/runtime/signal.hpp>

#include <cstddef>
#include <string>

namespace weft {

/// A finished request: what sinks send. Immutable once made and shared by all sinks.
struct Batch {
    Signal signal = Signal::traces;
    std::size_t records = 0; ///< Spans, metric points or log records in `body`.
    std::string body;        ///< Bytes of a whole, uncompressed Export<Signal>ServiceRequest.
};

} // namespace weft
