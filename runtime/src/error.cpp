#include <weft/runtime/error.hpp>

namespace weft {
namespace {

class Category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "weft"; }
    std::string message(int code) const override {
        switch (static_cast<Errc>(code)) {
        case Errc::header_absent:
            return "header absent";
        case Errc::header_malformed:
            return "header malformed";
        case Errc::option_out_of_range:
            return "option out of range";
        case Errc::url_malformed:
            return "not an absolute http or https URL";
        case Errc::cancelled:
            return "cancelled";
        case Errc::timed_out:
            return "timed out";
        case Errc::connection_closed:
            return "connection closed before a whole response";
        case Errc::response_too_large:
            return "response larger than the cap";
        case Errc::response_malformed:
            return "malformed response";
        case Errc::request_too_large:
            return "request larger than the cap";
        case Errc::unsupported_scheme:
            return "unsupported URL scheme";
        case Errc::tls_failed:
            return "TLS failed";
        case Errc::tls_files_unusable:
            return "certificates or keys cannot be read";
        case Errc::certificate_refused:
            return "the server's certificate is refused";
        case Errc::proxy_refused:
            return "refused by the proxy";
        case Errc::decode_failed:
            return "cannot decode";
        case Errc::unsupported_encoding:
            return "unsupported content encoding or type";
        case Errc::encode_failed:
            return "cannot encode";
        case Errc::shut_down:
            return "already shut down";
        case Errc::wrong_thread:
            return "blocking call on the thread it would wait for";
        }
        return "unknown";
    }
};

} // namespace

const boost::system::error_category& error_category() noexcept {
    static const Category category;
    return category;
}

} // namespace weft
