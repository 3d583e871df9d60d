#pragma once
#include <weft/http/headers.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace weft::http {

/// An answer: what a handler returns, and what a client gets.
class Response {
public:
    Response() noexcept = default;
    explicit Response(int status) noexcept : status_(status) {}

    /// With content type `text/plain; charset=utf-8`.
    [[nodiscard]] static Response text(int status, std::string body);
    /// With content type `application/json`. The text is taken as it is.
    [[nodiscard]] static Response json(int status, std::string body);
    [[nodiscard]] static Response with_body(
        int status, std::string_view content_type, std::string body);

    [[nodiscard]] int status() const noexcept { return status_; }
    /// 200 to 599; a server sends 500 for anything else.
    Response& set_status(int status) noexcept {
        status_ = status;
        return *this;
    }

    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
    [[nodiscard]] Headers& headers() noexcept { return headers_; }
    /// The first value of this header; empty if there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
        return headers_.get(name);
    }
    /// Replaces a header. Length, transfer encoding and connection are the server's business and not taken from here.
    Response& set_header(std::string_view name, std::string_view value) & {
        headers_.set(name, value);
        return *this;
    }
    Response&& set_header(std::string_view name, std::string_view value) && {
        headers_.set(name, value);
        return std::move(*this);
    }

    [[nodiscard]] const std::string& body() const noexcept { return body_; }
    [[nodiscard]] std::string& body() noexcept { return body_; }
    [[nodiscard]] bool is_success() const noexcept { return status_ >= 200 && status_ < 300; }

private:
    int status_ = 200;
    Headers headers_;
    std::string body_;
};

} // namespace weft::http
