#pragma once
// What the end of one attempt, an answer or a failure, means for its batch.

#include "http_connection.hpp"

#include <weft/exporters/compression.hpp>
#include <weft/exporters/drop_reason.hpp>
#include <weft/runtime/error.hpp>
#include <weft/runtime/signal.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::detail {

struct Judgement {
    enum class Kind : std::uint8_t { accepted, encoding_refused, retry, final };

    Kind kind = Kind::final;
    DropReason reason = DropReason::none; ///< With `final`.
    std::uint64_t rejected = 0;           ///< With `accepted`.
    bool understood = true;               ///< With `accepted`: the body was an OTLP response.
    int status = 0;                       ///< 0: there was no answer.
    std::string words;
    std::chrono::seconds retry_after{0}; ///< With `retry`; 0: none.
};

/// `words`: what the connection has to say beyond an error's message. `proxy`: the one that answers itself when it does not
/// let a request through; null: none, or none that could. Source: OTLP specification, "OTLP/HTTP Response".
[[nodiscard]] Judgement judge(
    const Result<HttpResponse>& response, const std::string& words, Compression compression,
    const Proxy* proxy);

/// What an answer says that no OTLP endpoint gives, and what may be wrong then; empty for others.
[[nodiscard]] std::string remedy_for(int status, Signal signal);

} // namespace weft::detail
