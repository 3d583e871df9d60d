#include "raw_socket.hpp"

#include "loop.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace weft::http::testing {
namespace {

void check(bool good, const char* what) {
    if (!good) { throw std::runtime_error(std::string(what) + ": " + std::to_string(errno)); }
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void be_patient(int descriptor) {
    timeval time{};
    time.tv_sec = patience.count();
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int listen_on_free_port(std::uint16_t& port) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(descriptor >= 0, "socket");
    auto address = loopback(0);
    check(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
    socklen_t size = sizeof address;
    check(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
    port = ntohs(address.sin_port);
    return descriptor;
}

std::size_t content_length(const Headers& headers) {
    const auto text = headers.get("content-length");
    std::size_t length = 0;
    std::from_chars(text.data(), text.data() + text.size(), length);
    return length;
}

Headers parse_fields(std::string_view text) {
    Headers headers;
    while (!text.empty()) {
        const auto end = text.find("\r\n");
        const auto line = text.substr(0, end);
        const auto colon = line.find(':');
        headers.add(line.substr(0, colon), line.substr(std::min(colon + 1, line.size())));
        if (end == std::string_view::npos) { break; }
        text.remove_prefix(end + 2);
    }
    return headers;
}

} // namespace

RawSocket::RawSocket(int descriptor) : descriptor_(descriptor) { be_patient(descriptor_); }

RawSocket RawSocket::connect(std::uint16_t port, int receive_buffer_bytes) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(descriptor >= 0, "socket");
    if (receive_buffer_bytes > 0) {
        ::setsockopt(
            descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    RawSocket socket(descriptor);
    const auto address = loopback(port);
    check(
        ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
        "connect");
    return socket;
}

RawSocket::RawSocket(RawSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), buffer_(std::move(other.buffer_)),
      was_reset_(other.was_reset_), is_late_(other.is_late_) {}

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(buffer_, other.buffer_);
    std::swap(was_reset_, other.was_reset_);
    std::swap(is_late_, other.is_late_);
    return *this;
}

RawSocket::~RawSocket() { close(); }

bool RawSocket::send(std::string_view text) {
    while (!text.empty()) {
        const auto count = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
        if (count <= 0) { return false; }
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

bool RawSocket::fill() {
    char bytes[65536];
    const auto count = ::recv(descriptor_, bytes, sizeof bytes, 0);
    if (count <= 0) {
        was_reset_ = count < 0 && errno == ECONNRESET;
        is_late_ = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        if (is_late_) { ADD_FAILURE() << "nothing came in time"; }
        return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
}

RawResponse RawSocket::receive(bool head_only) {
    RawResponse response;
    std::size_t end = std::string::npos;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) { return response; }
    }
    const auto line_end = buffer_.find("\r\n");
    int status = 0;
    if (buffer_.starts_with("HTTP/1.")) {
        std::from_chars(buffer_.data() + 9, buffer_.data() + 12, status);
    }
    const auto fields = std::string_view(buffer_).substr(line_end + 2, end - line_end);
    response.headers = parse_fields(fields.substr(0, fields.size() >= 2 ? fields.size() - 2 : 0));
    buffer_.erase(0, end + 4);
    const auto length = head_only ? 0 : content_length(response.headers);
    while (buffer_.size() < length) {
        if (!fill()) { return response; }
    }
    response.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    response.status = status;
    return response;
}

std::string RawSocket::receive_request() {
    std::size_t end = std::string::npos;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) { return {}; }
    }
    const auto line_end = buffer_.find("\r\n");
    const auto headers =
        parse_fields(std::string_view(buffer_).substr(line_end + 2, end - line_end - 2));
    const auto size = end + 4 + content_length(headers);
    while (buffer_.size() < size) {
        if (!fill()) { return {}; }
    }
    auto request = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return request;
}

std::string RawSocket::receive_all() {
    while (fill()) {}
    return std::exchange(buffer_, {});
}

bool RawSocket::is_closed_by_peer() { return buffer_.empty() && !fill() && !is_late_; }

void RawSocket::shut_down_writing() { ::shutdown(descriptor_, SHUT_WR); }

void RawSocket::reset() {
    const linger option{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &option, sizeof option);
    close();
}

void RawSocket::close() {
    if (descriptor_ >= 0) { ::close(std::exchange(descriptor_, -1)); }
}

RawServer::RawServer(Script script) : listener_(listen_on_free_port(port_)) {
    check(::listen(listener_, 16) == 0, "listen");
    be_patient(listener_);
    thread_ = std::thread([this, script = std::move(script)] {
        try {
            script(*this);
        } catch (const std::exception& error) { ADD_FAILURE() << "script: " << error.what(); }
    });
}

RawServer::~RawServer() {
    thread_.join();
    ::close(listener_);
}

std::string RawServer::url(std::string_view target) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(target);
}

RawSocket RawServer::accept() {
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    check(descriptor >= 0, "accept");
    return RawSocket(descriptor);
}

std::uint16_t unused_port() {
    std::uint16_t port = 0;
    ::close(listen_on_free_port(port));
    return port;
}

} // namespace weft::http::testing
