#include "connection.hpp"

#include "decode.hpp"

#include <strings.h>
#include <zlib.h>

#include <charconv>
#include <exception>
#include <mutex>
#include <thread>

namespace weft::faults {
namespace {

constexpr std::size_t head_bytes_max = 64u << 10;
constexpr std::size_t body_bytes_max = 64u << 20;
constexpr std::string_view protobuf = "application/x-protobuf";

struct Head {
    std::string_view method;
    std::string_view path;
    std::string_view encoding;
    std::size_t content_length = 0;
    bool expects_continue = false;
    bool is_good = false;
};

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) { text.remove_suffix(1); }
    return text;
}

bool is(std::string_view name, std::string_view wanted) noexcept {
    return name.size() == wanted.size() &&
           strncasecmp(name.data(), wanted.data(), name.size()) == 0;
}

Head parse_head(std::string_view text) noexcept {
    Head head;
    const auto after_method = text.find(' ');
    head.method = text.substr(0, after_method);
    const auto path = text.substr(std::min(after_method, text.size() - 1) + 1);
    head.path = path.substr(0, path.find_first_of(" ?\r"));
    head.is_good = true;
    for (std::size_t at = text.find('\n'); at != std::string_view::npos;) {
        const auto next = text.find('\n', at + 1);
        const auto line = text.substr(at + 1, next - at - 1);
        at = next;
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) { continue; }
        const auto name = line.substr(0, colon);
        const auto value = trimmed(line.substr(colon + 1));
        if (is(name, "content-encoding")) { head.encoding = value; }
        if (is(name, "expect")) { head.expects_continue = is(value, "100-continue"); }
        if (is(name, "transfer-encoding")) { head.is_good = false; } // No sender here needs it.
        if (is(name, "content-length")) {
            const auto read =
                std::from_chars(value.data(), value.data() + value.size(), head.content_length);
            head.is_good =
                head.is_good && read.ec == std::errc() && head.content_length <= body_bytes_max;
        }
    }
    return head;
}

std::string answer(
    std::uint64_t status, std::string_view type, std::string_view body,
    std::string_view more_headers = {}) {
    std::string text = "HTTP/1.1 " + std::to_string(status) + " Whatever\r\n";
    if (!type.empty()) { text += "Content-Type: " + std::string(type) + "\r\n"; }
    text += more_headers;
    return text + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// 64 gzip members of 16 MiB of zeros each: made once, when first wanted.
const std::string& gzip_bomb() {
    static const std::string bomb = [] {
        const std::string zeros(16u << 20, '\0');
        std::string member(compressBound(zeros.size()) + 64, '\0');
        z_stream stream{};
        deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zeros.data()));
        stream.avail_in = static_cast<uInt>(zeros.size());
        stream.next_out = reinterpret_cast<Bytef*>(member.data());
        stream.avail_out = static_cast<uInt>(member.size());
        deflate(&stream, Z_FINISH);
        member.resize(stream.total_out);
        deflateEnd(&stream);
        std::string all;
        for (int i = 0; i < 64; ++i) { all += member; }
        return all;
    }();
    return bomb;
}

void put_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) { out += static_cast<char>(value | 0x80); }
    out += static_cast<char>(value);
}

// ExportTraceServiceResponse{partial_success{rejected_spans, error_message}}
std::string partial_success(std::uint64_t rejected) {
    std::string inner = "\x08";
    put_varint(inner, rejected);
    inner += "\x12\x0btoo strange";
    std::string outer = "\x0a";
    put_varint(outer, inner.size());
    return outer + inner;
}

class Connection {
public:
    Connection(Stream& stream, Store& store, Plan& plan)
        : stream_(stream), store_(store), plan_(plan) {}

    void run() {
        while (read_head()) {
            const Head head = parse_head(std::string_view(buffer_).substr(0, head_bytes_));
            if (!head.is_good) {
                (void)stream_.write(answer(411, "text/plain", "a Content-Length, please"));
                return;
            }
            if (head.method == "GET") {
                if (!stream_.write(answer(200, "application/json", store_.to_json()))) { return; }
                buffer_.erase(0, head_bytes_);
                continue;
            }
            const bool goes_on = head.path.ends_with("/v1/traces") ? serve_post(head)
                                                                   : pass_over(head.content_length);
            if (!goes_on) { return; }
        }
    }

private:
    // Until the empty line; what follows it stays in the buffer.
    bool read_head() {
        for (;;) {
            const auto end = buffer_.find("\r\n\r\n");
            if (end != std::string::npos) {
                head_bytes_ = end + 4;
                return true;
            }
            if (buffer_.size() > head_bytes_max || !read_more(16u << 10)) { return false; }
        }
    }

    bool read_more(std::size_t most) {
        const auto before = buffer_.size();
        buffer_.resize(before + most);
        const auto got = stream_.read(buffer_.data() + before, most);
        buffer_.resize(before + got);
        return got != 0;
    }

    bool read_body(std::size_t bytes) {
        const auto wanted = head_bytes_ + bytes;
        buffer_.reserve(wanted);
        while (buffer_.size() < wanted) {
            if (!read_more(wanted - buffer_.size())) { return false; }
        }
        return true;
    }

    bool reset() {
        stream_.reset_on_close();
        return false;
    }

    // Other signals are none of ours.
    bool pass_over(std::size_t bytes) {
        if (!read_body(bytes)) { return false; }
        buffer_.erase(0, head_bytes_ + bytes);
        return stream_.write(answer(200, protobuf, {}));
    }

    // False when the connection is over. `head` points into the buffer, which moves as the body comes.
    bool serve_post(const Head& head) {
        const std::string encoding(head.encoding);
        const auto bytes = head.content_length;
        store_.add(Count::requests);
        auto fault = plan_.next();
        if (fault.kind == Kind::refuse_zstd && encoding != "zstd") { fault.kind = Kind::none; }
        if (fault.kind != Kind::none) { store_.add(Count::faulted); }
        if (fault.kind == Kind::reset_before) { return store_.add(Count::refused), reset(); }
        if (head.expects_continue && !stream_.write("HTTP/1.1 100 Continue\r\n\r\n")) {
            return false;
        }
        if (fault.kind == Kind::reset_during) {
            (void)read_body(bytes / 2);
            return store_.add(Count::refused), reset();
        }
        if (!read_body(bytes)) { return false; }
        const bool goes_on = answer_post(fault, encoding, {buffer_.data() + head_bytes_, bytes});
        buffer_.erase(0, head_bytes_ + bytes);
        return goes_on;
    }

    bool answer_post(const Fault& fault, const std::string& encoding, std::string_view body) {
        if (fault.kind == Kind::status || fault.kind == Kind::refuse_zstd) {
            store_.add(Count::refused);
            const auto when = fault.retry_after
                                  ? "Retry-After: " + std::to_string(*fault.retry_after) + "\r\n"
                                  : std::string();
            const auto status = fault.kind == Kind::status ? fault.argument : 415;
            return stream_.write(answer(status, "text/plain", "not now", when));
        }
        if (!decoder_.decode(encoding, body, store_)) {
            store_.add(Count::undecodable);
            return stream_.write(answer(400, "text/plain", "this is no OTLP"));
        }
        std::span<const std::uint64_t> kept(decoder_.numbers);
        if (fault.kind == Kind::partial) {
            const auto refused = std::min<std::uint64_t>(fault.argument, kept.size());
            store_.add(Count::rejected, refused);
            kept = kept.subspan(refused);
        }
        if (fault.kind == Kind::forget) { return stream_.write(answer(200, protobuf, {})); }
        store_.receive(kept);
        if (!acknowledge(fault, decoder_.numbers.size() - kept.size())) { return false; }
        store_.add(Count::accepted);
        store_.acknowledge(kept);
        return true;
    }

    // Whether an acceptance went out whole. Whatever else was done ends the connection.
    bool acknowledge(const Fault& fault, std::uint64_t rejected) {
        switch (fault.kind) {
        case Kind::reset_after:
            return reset();
        case Kind::silence:
            stream_.wait_for_close();
            return false;
        case Kind::trickle:
            return trickle(answer(200, protobuf, {}), std::chrono::milliseconds(fault.argument));
        case Kind::garbage:
            (void)stream_.write("\x16\x03\x01 this is no HTTP\r\n\r\n \xff\xfe\r\n\r\n");
            return false;
        case Kind::content_type:
            return stream_.write(answer(
                200, "text/html", "<html><head><title>Welcome</title></head><body></body></html>"));
        case Kind::garbage_body:
            return stream_.write(answer(200, protobuf, "\xff\xff\xff\xff\xff\xff\x07garbage"));
        case Kind::gzip_bomb:
            return stream_.write(answer(200, protobuf, gzip_bomb(), "Content-Encoding: gzip\r\n"));
        case Kind::huge_body:
            (void)stream_.write(answer(200, protobuf, std::string(fault.argument << 20, 'x')));
            return false;
        case Kind::huge_header:
            (void)stream_.write(answer(
                200, protobuf, {}, "X-Large: " + std::string(fault.argument << 20, 'x') + "\r\n"));
            return false;
        case Kind::partial:
            return stream_.write(answer(200, protobuf, partial_success(rejected)));
        default:
            return stream_.write(answer(200, protobuf, {}));
        }
    }

    bool trickle(std::string_view text, std::chrono::milliseconds interval) {
        for (const char& byte : text) {
            if (!stream_.write({&byte, 1})) { return false; }
            std::this_thread::sleep_for(interval);
        }
        return true;
    }

    Stream& stream_;
    Store& store_;
    Plan& plan_;
    Decoder decoder_;
    std::string buffer_;
    std::size_t head_bytes_ = 0;
};

} // namespace

void serve(Stream& stream, Store& store, Plan& plan) noexcept {
    store.add(Count::connections);
    try {
        if (stream.begin()) { Connection(stream, store, plan).run(); }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weft-fault-receiver: %s\n", error.what());
    }
}

} // namespace weft::faults
