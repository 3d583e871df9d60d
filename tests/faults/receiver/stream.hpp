// A connection's bytes, plain or TLS, blocking.
#pragma once
#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace weft::faults {

/// Which certificate is shown.
enum class Tls { off, valid, expired, wrong_host, self_signed };

/// A server's key and certificate for `kind`, made on the spot; the authority that the sender is to trust goes to
/// `authority_file`. Throws std::runtime_error.
std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> make_tls(
    Tls kind, const std::string& authority_file);

/// One accepted socket.
class Stream {
public:
    Stream(int socket, SSL_CTX* tls) noexcept;
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// False when the handshake failed.
    bool begin() noexcept;
    /// Bytes read; 0 at the end and on any error.
    std::size_t read(char* to, std::size_t most) noexcept;
    /// False when the peer is gone.
    bool write(std::string_view bytes) noexcept;
    /// Waits for the peer to close, or to break, for as long as it takes.
    void wait_for_close() noexcept;
    /// From now on closing sends a reset instead of an orderly end.
    void reset_on_close() noexcept;

private:
    int socket_;
    std::unique_ptr<SSL, decltype(&SSL_free)> tls_;
};

} // namespace weft::faults
