#pragma once
// Boost.Beast's incremental HTTP/1 parser, storing into our own flat messages: no allocation per field.
// Private: Beast is not seen by users.

#include "headers_access.hpp"
#include "request_access.hpp"

#include <weft/http/request.hpp>
#include <weft/http/response.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace weft::http::detail {

namespace beast = boost::beast;
using boost::system::error_code;

inline std::string_view view_of(beast::string_view text) noexcept {
    return {text.data(), text.size()};
}

/// What requests and responses have in common. `Derived` keeps the message.
/// Newer Boost versions have one virtual function more, for trailer fields; it is declared here without `override`
/// so that this compiles with and without it.
template <bool is_request>
class MessageParser : public beast::http::basic_parser<is_request> {
public:
    MessageParser(Headers& headers, std::string& body) : headers_(headers), body_(body) {}

    /// As the base's, but it never shows the last chunk of an empty body in pieces, for Beast 1.81 asserts that it
    /// has not seen one. Whatever is left of a chunked body is at least these five bytes.
    std::size_t put(boost::asio::const_buffer data, error_code& ec) {
        constexpr std::size_t last_chunk_bytes = 5; // "0", CRLF, CRLF.
        if (this->is_header_done() && this->chunked() && data.size() < last_chunk_bytes) {
            ec = beast::http::error::need_more;
            return 0;
        }
        return beast::http::basic_parser<is_request>::put(data, ec);
    }

protected:
    using Field = beast::http::field;
    using View = beast::string_view;

    void on_field_impl(Field, View name, View value, error_code& ec) override {
        // Fields behind a chunked body are dropped: they must not pass for headers that were checked.
        if (header_done_) { return; }
        if (!HeadersAccess::append(headers_, view_of(name), view_of(value))) {
            ec = beast::http::error::header_limit;
        }
    }
    virtual void on_trailer_field_impl(Field, View, View, error_code& ec) { ec = {}; }
    void on_header_impl(error_code& ec) override {
        header_done_ = true;
        ec = {};
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& ec) override {
        ec = {};
        // The length is a claim; memory is taken as the body comes, apart from this much.
        if (length) { body_.reserve(static_cast<std::size_t>(std::min(*length, reserve_max))); }
    }
    std::size_t on_body_impl(View part, error_code& ec) override {
        ec = {};
        body_.append(part.data(), part.size());
        return part.size();
    }
    void on_chunk_header_impl(std::uint64_t, View, error_code& ec) override { ec = {}; }
    std::size_t on_chunk_body_impl(std::uint64_t, View part, error_code& ec) override {
        return on_body_impl(part, ec);
    }
    void on_finish_impl(error_code& ec) override { ec = {}; }

private:
    static constexpr std::uint64_t reserve_max = 64 * 1024;
    Headers& headers_;
    std::string& body_;
    bool header_done_ = false;
};

class RequestParser final : public MessageParser<true> {
public:
    explicit RequestParser(Request& request)
        : MessageParser(request.headers(), RequestAccess::body(request)), request_(request) {}

private:
    void on_request_impl(
        beast::http::verb, View method, View target, int version, error_code& ec) override {
        ec = {};
        if (!RequestAccess::set_start_line(request_, view_of(method), view_of(target), version)) {
            ec = beast::http::error::bad_target;
        }
    }
    void on_response_impl(int, View, int, error_code&) override {}

    Request& request_;
};

class ResponseParser final : public MessageParser<false> {
public:
    explicit ResponseParser(Response& response)
        : MessageParser(response.headers(), response.body()), response_(response) {}

    /// 10 for HTTP/1.0, 11 for HTTP/1.1.
    [[nodiscard]] int version() const noexcept { return version_; }

private:
    void on_request_impl(beast::http::verb, View, View, int, error_code&) override {}
    void on_response_impl(int status, View, int version, error_code& ec) override {
        ec = {};
        response_.set_status(status);
        version_ = version;
    }

    Response& response_;
    int version_ = 11;
};

/// Bytes that have been received and not yet parsed. Grows up to a cap, by what a read is worth.
class InputBuffer {
public:
    explicit InputBuffer(std::size_t cap) : cap_(cap) {}

    [[nodiscard]] std::string_view data() const noexcept {
        return {bytes_.data() + begin_, end_ - begin_};
    }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    [[nodiscard]] bool full() const noexcept { return end_ - begin_ >= cap_; }
    void clear() noexcept { begin_ = end_ = 0; }
    void consume(std::size_t count) noexcept {
        begin_ += count;
        if (begin_ == end_) { begin_ = end_ = 0; }
    }
    /// Room for a read, of up to `wanted` bytes; never empty unless full().
    [[nodiscard]] boost::asio::mutable_buffer prepare(std::size_t wanted) {
        wanted = std::clamp(wanted, read_bytes_min, cap_);
        if (begin_ > 0 && bytes_.size() - end_ < wanted) {
            std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (bytes_.size() - end_ < wanted) {
            bytes_.resize(std::min(std::max(first_bytes, end_ + wanted), cap_));
        }
        return boost::asio::buffer(bytes_.data() + end_, bytes_.size() - end_);
    }
    void commit(std::size_t count) noexcept { end_ += count; }

private:
    static constexpr std::size_t first_bytes = 8 * 1024;
    static constexpr std::size_t read_bytes_min = 1024;
    std::size_t cap_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::string bytes_;
};

} // namespace weft::http::detail
