#pragma once
#include <weft/exporters/tls_options.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weft::detail {

namespace asio = boost::asio;

using TlsContext = std::shared_ptr<asio::ssl::context>;
using TlsStream = asio::ssl::stream<asio::ip::tcp::socket&>;

/// What TLS connections to one destination have in common: whom they trust and what they show, as the files say now.
/// Threads: one at a time.
class TlsClient {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// `where` is for messages. Reads the files and reports what is wrong with them.
    /// Lifetime: `log` must outlive this.
    TlsClient(TlsOptions options, std::string where, Diagnostics& log);

    /// The context for a connection made now, after a look at the files if the last one was a second ago. Null: there is
    /// none as yet, see problem(). Another one than before: connections should be made anew.
    [[nodiscard]] TlsContext context(TimePoint now);

    /// Why there is no context, or why the newest files are not in it. Empty: nothing is wrong.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

private:
    // What tells one state of a file from another; all zero if there is none.
    struct Stamp {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::int64_t size = 0;
        std::int64_t modified_s = 0;
        std::int64_t modified_ns = 0;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    using Stamps = std::array<Stamp, 3>;

    [[nodiscard]] static Stamp stamp_of(const std::string& path) noexcept;
    [[nodiscard]] Stamps stamps() const noexcept;
    void load();

    const TlsOptions options_;
    const std::string where_;
    Diagnostics& log_;
    TlsContext context_;
    std::string problem_;
    Stamps stamps_{};
    TimePoint looked_at_;
};

/// Prepares a stream for `host`, a name or an address: what is asked of the server's certificate, and what is told to the
/// server. A refusal of the certificate leaves its reason in `*words`. Lifetime: `words` outlives the stream's operations.
/// Errors: what OpenSSL says, which is want of memory.
[[nodiscard]] boost::system::error_code prepare(
    TlsStream& stream, const std::string& host, std::string* words);

/// What an error of TLS means and what may be done about it; empty if the error is of another kind.
[[nodiscard]] std::string tls_words(const boost::system::error_code& error);

} // namespace weft::detail
