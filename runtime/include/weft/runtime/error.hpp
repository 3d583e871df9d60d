#pragma once
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <string>
#include <type_traits>

namespace weft {

/// Every expected failure of the library, with cause and cure.
enum class Errc {
    // Propagation.
    header_absent = 1, ///< The carrier has no such header. Start a new trace.
    header_malformed, ///< The header breaks its grammar. The sender is at fault; a new trace is started.
    // Options and environment.
    option_out_of_range, ///< A setting is outside its documented range. See the message that names it.
    url_malformed,       ///< Not an absolute http or https URL.
    // Transport.
    cancelled,          ///< The caller gave up; not a failure of the peer.
    timed_out,          ///< The peer did not answer within the timeout.
    connection_closed,  ///< The peer closed before a whole response had arrived.
    response_too_large, ///< The response passes the cap. Final: not retried.
    response_malformed, ///< The response is not HTTP, or its body is not what the status promises.
    request_too_large,  ///< The request passes the cap and was not sent.
    unsupported_scheme, ///< A URL scheme that is not spoken here, such as that of a SOCKS proxy.
    tls_failed,         ///< TLS with the peer cannot begin or broke. The message says why.
    tls_files_unusable, ///< CA, certificate or key cannot be read from their files. See the message.
    certificate_refused, ///< The server's certificate does not hold. See the message.
    proxy_refused,       ///< The proxy does not let the connection through. See the message.
    // Codecs.
    decode_failed, ///< Input is not the protobuf, JSON or compressed data that it claims to be.
    unsupported_encoding, ///< A Content-Encoding or Content-Type that is not spoken here.
    encode_failed,        ///< Data could not be encoded or compressed, for want of memory.
    // Life cycle.
    shut_down, ///< The runtime has been shut down; the call did nothing.
    wrong_thread, ///< A blocking call came from a thread it would wait for or hold up; use the coroutine form.
};

/// Category "weft". Threads: any.
[[nodiscard]] const boost::system::error_category& error_category() noexcept;

[[nodiscard]] inline boost::system::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/// A value or the reason why there is none. `boost::system` because Asio and Beast speak it.
template <class T>
using Result = boost::system::result<T>;

} // namespace weft

template <>
struct boost::system::is_error_code_enum<weft::Errc> : std::true_type {};
