#include "stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <stdexcept>

namespace weft::faults {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

constexpr long day_seconds = 86400;

void add_extension(X509* certificate, int kind, const char* text) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

struct Wanted {
    const char* common_name;
    const char* alternative_names; // Null: an authority.
    long from_days;
    long until_days;
};

Certificate make_certificate(
    const Wanted& wanted, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
    Certificate made(X509_new(), X509_free);
    X509* const c = made.get();
    static long serial = 1;
    X509_set_version(c, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c), wanted.from_days * day_seconds);
    X509_gmtime_adj(X509_getm_notAfter(c), wanted.until_days * day_seconds);
    X509_set_pubkey(c, key);
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(c), "CN", MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(wanted.common_name), -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(issuer == nullptr ? c : issuer));
    if (wanted.alternative_names == nullptr) {
        add_extension(c, NID_basic_constraints, "critical,CA:TRUE");
    } else {
        add_extension(c, NID_subject_alt_name, wanted.alternative_names);
    }
    if (X509_sign(c, issuer_key, EVP_sha256()) == 0) {
        throw std::runtime_error("a certificate cannot be signed");
    }
    return made;
}

} // namespace

std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> make_tls(
    Tls kind, const std::string& authority_file) {
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(nullptr, SSL_CTX_free);
    if (kind == Tls::off) { return context; }
    const Key authority_key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const auto authority = make_certificate(
        {"weft fault authority", nullptr, -10, 10}, authority_key.get(), nullptr,
        authority_key.get());
    const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const bool own = kind == Tls::self_signed;
    const bool elsewhere = kind == Tls::wrong_host;
    const auto certificate = make_certificate(
        {elsewhere ? "elsewhere.example" : "localhost",
         elsewhere ? "DNS:elsewhere.example" : "DNS:localhost,IP:127.0.0.1", -9,
         kind == Tls::expired ? -1 : 9},
        key.get(), own ? nullptr : authority.get(), own ? key.get() : authority_key.get());
    FILE* const file = std::fopen(authority_file.c_str(), "w");
    const bool written = file != nullptr && PEM_write_X509(file, authority.get()) == 1;
    if (file != nullptr) { std::fclose(file); }
    if (!written) { throw std::runtime_error("cannot write --ca-file " + authority_file); }
    context.reset(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
        throw std::runtime_error("the certificate cannot be used");
    }
    return context;
}

Stream::Stream(int socket, SSL_CTX* tls) noexcept : socket_(socket), tls_(nullptr, SSL_free) {
    const int on = 1;
    (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls == nullptr) { return; }
    tls_.reset(SSL_new(tls));
    SSL_set_fd(tls_.get(), socket);
}

Stream::~Stream() { ::close(socket_); }

bool Stream::begin() noexcept { return !tls_ || SSL_accept(tls_.get()) == 1; }

std::size_t Stream::read(char* to, std::size_t most) noexcept {
    const auto got =
        tls_ ? SSL_read(tls_.get(), to, static_cast<int>(most)) : ::recv(socket_, to, most, 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

bool Stream::write(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        const auto put = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                              : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put <= 0) { return false; }
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
}

void Stream::wait_for_close() noexcept {
    std::array<char, 4096> ignored;
    while (read(ignored.data(), ignored.size()) != 0) {}
}

void Stream::reset_on_close() noexcept {
    const linger at_once{1, 0};
    (void)::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

} // namespace weft::faults
