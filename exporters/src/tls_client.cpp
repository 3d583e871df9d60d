#include "tls_client.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <vector>

namespace weft {

std::string problem_in(const TlsOptions& options) {
    if (options.certificate_file.empty() == options.key_file.empty()) { return {}; }
    const bool has_key = options.certificate_file.empty();
    return fmt::format(
        "tls.{} is set and tls.{} is not: allowed is both or neither",
        has_key ? "key_file" : "certificate_file", has_key ? "certificate_file" : "key_file");
}

} // namespace weft

namespace weft::detail {
namespace {

namespace ssl = asio::ssl;
using boost::system::error_code;

constexpr std::chrono::seconds look_interval{1};
constexpr std::size_t path_bytes_max = 256;
constexpr std::size_t names_shown_max = 8;
constexpr std::size_t name_bytes_max = 128;

struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
struct FreeNames {
    void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

std::string file_problem(std::string_view field, const std::string& path, std::string_view what) {
    return fmt::format("tls.{} is {}: {}", field, printable(path, path_bytes_max), what);
}

// Null, with what is wrong in `problem`.
TlsContext make_context(const TlsOptions& options, std::string& problem) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    SSL_CTX* const raw = context->native_handle();
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
    SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    // What is in the CA file is trusted as it is, be it an intermediate or the receiver's own certificate.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), X509_V_FLAG_PARTIAL_CHAIN);
    context->set_verify_mode(ssl::verify_peer);
    // Without it OpenSSL would ask for the password of a key on the terminal.
    context->set_password_callback(
        [](std::size_t, ssl::context::password_purpose) { return std::string(); });
    error_code error;
    if (options.ca_file.empty()) {
        if (context->set_default_verify_paths(error)) {
            problem = fmt::format("the system's CAs cannot be read: {}", error.message());
            return nullptr;
        }
    } else if (context->load_verify_file(options.ca_file, error)) {
        problem = file_problem("ca_file", options.ca_file, error.message());
        return nullptr;
    }
    if (options.certificate_file.empty()) { return context; }
    if (context->use_certificate_chain_file(options.certificate_file, error)) {
        problem = file_problem("certificate_file", options.certificate_file, error.message());
        return nullptr;
    }
    // Also refuses a key that is not the certificate's.
    if (context->use_private_key_file(options.key_file, ssl::context::pem, error)) {
        problem = file_problem("key_file", options.key_file, error.message());
        return nullptr;
    }
    return context;
}

std::string text_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) { return "a date that cannot be read"; }
    return fmt::format(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
        parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string text_of(const X509_NAME* name) {
    const std::unique_ptr<BIO, FreeBio> text(BIO_new(BIO_s_mem()));
    if (text == nullptr) { return {}; }
    X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_RFC2253);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    if (size <= 0) { return "nobody"; }
    return printable({data, static_cast<std::size_t>(size)}, name_bytes_max);
}

std::string text_of(const GENERAL_NAME& name) {
    if (name.type == GEN_DNS) {
        const auto* const text = name.d.dNSName;
        return printable(
            {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
             static_cast<std::size_t>(ASN1_STRING_length(text))},
            name_bytes_max);
    }
    if (name.type != GEN_IPADD) { return {}; }
    const auto* const bytes = ASN1_STRING_get0_data(name.d.iPAddress);
    if (ASN1_STRING_length(name.d.iPAddress) == 4) {
        asio::ip::address_v4::bytes_type v4{};
        std::copy_n(bytes, v4.size(), v4.begin());
        return asio::ip::address_v4(v4).to_string();
    }
    if (ASN1_STRING_length(name.d.iPAddress) != 16) { return {}; }
    asio::ip::address_v6::bytes_type v6{};
    std::copy_n(bytes, v6.size(), v6.begin());
    return asio::ip::address_v6(v6).to_string();
}

// Whom a certificate is for: its alternative names, which alone count where there are any, or its subject.
std::string names_in(X509* certificate) {
    const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> shown;
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        auto text = text_of(*sk_GENERAL_NAME_value(names.get(), i));
        if (text.empty()) { continue; }
        if (shown.size() == names_shown_max) {
            shown.emplace_back("...");
            break;
        }
        shown.push_back(std::move(text));
    }
    if (shown.empty()) { return text_of(X509_get_subject_name(certificate)); }
    return fmt::format("{}", fmt::join(shown, ", "));
}

std::string refusal(X509_STORE_CTX* store, const std::string& host) {
    const int error = X509_STORE_CTX_get_error(store);
    X509* const certificate = X509_STORE_CTX_get_current_cert(store);
    const std::string_view prefix = "the server's certificate is refused: ";
    if (certificate == nullptr) {
        return fmt::format("{}{}", prefix, X509_verify_cert_error_string(error));
    }
    const std::string whose =
        X509_STORE_CTX_get_error_depth(store) == 0
            ? "it"
            : fmt::format("that of its CA, {},", text_of(X509_get_subject_name(certificate)));
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return fmt::format(
            "{}{} expired on {}", prefix, whose, text_of(X509_get0_notAfter(certificate)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return fmt::format(
            "{}{} is valid only from {}; is this machine's clock right?", prefix, whose,
            text_of(X509_get0_notBefore(certificate)));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return fmt::format(
            "{}it is for {}, not for {}", prefix, names_in(certificate), printable(host, 256));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return fmt::format(
            "{}it is self-signed and not among the trusted ones; to trust it, set "
            "OTEL_EXPORTER_OTLP_CERTIFICATE to its file",
            prefix);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return fmt::format(
            "{}it was issued by an unknown CA, {}; to trust that CA, set "
            "OTEL_EXPORTER_OTLP_CERTIFICATE to the file of its certificate",
            prefix, text_of(X509_get_issuer_name(certificate)));
    default:
        return fmt::format("{}{}", prefix, X509_verify_cert_error_string(error));
    }
}

constexpr unsigned char alpn[] = "\x08http/1.1";

error_code last_error() noexcept {
    return {static_cast<int>(ERR_get_error()), asio::error::get_ssl_category()};
}

} // namespace

TlsClient::TlsClient(TlsOptions options, std::string where, Diagnostics& log)
    : options_(std::move(options)), where_(std::move(where)), log_(log), stamps_(stamps()),
      looked_at_(std::chrono::steady_clock::now()) {
    load();
}

TlsContext TlsClient::context(TimePoint now) {
    if (now - looked_at_ >= look_interval) {
        looked_at_ = now;
        // Read only after they have changed: what was bad stays so.
        if (const auto found = stamps(); found != stamps_) {
            stamps_ = found;
            load();
        }
    }
    return context_;
}

void TlsClient::load() {
    const bool is_first = context_ == nullptr;
    problem_.clear();
    auto made = make_context(options_, problem_);
    if (made != nullptr) { context_ = std::move(made); }
    log_.report(
        problem_.empty() ? DiagnosticLevel::debug : DiagnosticLevel::error,
        problem_.empty() ? "otlp_http.tls_read" : "otlp_http.tls_files", [&] {
            if (problem_.empty()) {
                return fmt::format("export to {}: certificates and keys read", where_);
            }
            return fmt::format(
                "export to {}: {}; {}", where_, problem_,
                is_first ? "nothing can be sent until that is mended"
                         : "the certificates read before stay in use");
        });
}

TlsClient::Stamp TlsClient::stamp_of(const std::string& path) noexcept {
    struct stat found {};
    if (path.empty() || ::stat(path.c_str(), &found) != 0) { return {}; }
    return {
        static_cast<std::uint64_t>(found.st_dev), static_cast<std::uint64_t>(found.st_ino),
        static_cast<std::int64_t>(found.st_size), static_cast<std::int64_t>(found.st_mtim.tv_sec),
        static_cast<std::int64_t>(found.st_mtim.tv_nsec)};
}

TlsClient::Stamps TlsClient::stamps() const noexcept {
    return {
        stamp_of(options_.ca_file), stamp_of(options_.certificate_file),
        stamp_of(options_.key_file)};
}

error_code prepare(TlsStream& stream, const std::string& host, std::string* words) {
    SSL* const raw = stream.native_handle();
    ERR_clear_error();
    error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (not_an_address) {
        // The dot that says that a name is whole is no part of it (RFC 6066).
        const auto name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
        SSL_set_hostflags(raw, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        // The second call tells the server which name is meant; an address must not be told (RFC 6066).
        if (SSL_set1_host(raw, name.c_str()) != 1 ||
            SSL_set_tlsext_host_name(raw, name.c_str()) != 1) {
            return last_error();
        }
    } else if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(raw), host.c_str()) != 1) {
        return last_error();
    }
    // 0 is success here. A server that would rather speak HTTP/2 is told what we speak.
    if (SSL_set_alpn_protos(raw, alpn, sizeof(alpn) - 1) != 0) { return last_error(); }
    error_code error;
    stream.set_verify_callback(
        [host, words](bool is_good, ssl::verify_context& context) noexcept {
            if (is_good) { return true; }
            try {
                *words = refusal(context.native_handle(), host);
            } catch (...) {} // No memory for the reason: the refusal stands.
            return false;
        },
        error);
    return error;
}

std::string tls_words(const error_code& error) {
    if (error.category() != asio::error::get_ssl_category()) { return {}; }
    const auto said = [&] { return error.message(); };
    switch (ERR_GET_REASON(static_cast<unsigned long>(error.value()))) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        return fmt::format("no TLS is spoken there ({}); is it an http endpoint?", said());
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return fmt::format("the server speaks no TLS 1.2 or newer ({})", said());
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return fmt::format(
            "the server asks for a client certificate ({}): set "
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
            said());
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: // What TLS 1.2 says also where a client certificate is missing.
        return fmt::format(
            "the server ends the TLS handshake ({}); perhaps it asks for a client certificate: "
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
            said());
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return fmt::format("the server refuses our client certificate ({})", said());
    default:
        return fmt::format("TLS failed ({})", said());
    }
}

} // namespace weft::detail
