#pragma once
// What one request of an OTLP/HTTP destination needs: whom it goes to, a connection, and a body in the right encoding.

#include "http_connection.hpp"

#include <weft/exporters/batch.hpp>
#include <weft/exporters/compression.hpp>
#include <weft/exporters/otlp_http.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace weft::detail {

/// Where the requests of a destination go and what all of them carry.
/// Lifetime: `log` must outlive the result.
[[nodiscard]] std::shared_ptr<const HttpPeer> make_peer(
    const OtlpHttpOptions& options, Diagnostics& log);

/// Room for one request in flight: a connection, and working memory that is kept.
struct Lane {
    Lane(
        const asio::any_io_executor& executor, std::shared_ptr<const HttpPeer> peer,
        Compression compression, int level)
        : connection(executor, std::move(peer)), preferred(compression, level),
          fallback(Compression::gzip, default_level(Compression::gzip)) {}

    /// Gives back what a huge batch has made it hold.
    void trim() noexcept;

    HttpConnection connection;
    Compressor preferred;
    Compressor fallback; ///< After a refusal of zstd; holds no memory before.
    std::string json;    ///< The body in flight, where receivers want that.
};

/// The body of a request before compression; empty: it cannot be made. Errors: std::bad_alloc.
/// Lifetime: a view into the batch or into the lane.
[[nodiscard]] std::string_view body_of(const Batch& batch, OtlpEncoding encoding, Lane& lane);

/// A body ready to go. Lifetime: a view into what it was made of, or into the compressor.
struct Encoded {
    std::string_view bytes;
    Compression compression = Compression::none;
};

/// If there is no memory to compress, or nothing to gain, the body goes as it is.
[[nodiscard]] Encoded encode(Compressor& compressor, std::string_view body) noexcept;

} // namespace weft::detail
