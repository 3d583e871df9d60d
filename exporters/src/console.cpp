#include "console_text.hpp"
#include "otlp_json.hpp"
#include "text_sink.hpp"

#include <weft/exporters/console.hpp>

#include <boost/asio/error.hpp>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>
#include <string_view>
#include <utility>

namespace weft {
namespace {

// A reader that has gone is an error of write(), not the end of the program.
class WithoutSigpipe {
public:
    WithoutSigpipe() noexcept {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
    ~WithoutSigpipe() {
        constexpr timespec at_once{};
        // Ours is taken off before the mask is lifted.
        if (!was_pending_) { (void)sigtimedwait(&pipe_, nullptr, &at_once); }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t pipe_;
    sigset_t before_;
    bool was_pending_;
};

// A descriptor that the program shares with others, so that its flags are not ours to change: what may be written without
// waiting is found out beforehand.
class StreamOutput final : public detail::TextOutput {
public:
    explicit StreamOutput(int stream) : stream_(stream) {}

    boost::system::error_code write(std::string_view& left) override {
        const WithoutSigpipe guard;
        struct stat status {};
        const bool is_file = ::fstat(stream_, &status) == 0 && S_ISREG(status.st_mode);
        while (!left.empty()) { // Bound: each turn writes something, or is the last.
            if (!is_file && !is_writable()) { return asio::error::would_block; }
            // A pipe that is writable takes this much at once; more might wait for its reader.
            const auto step = is_file ? left.size() : std::min<std::size_t>(left.size(), PIPE_BUF);
            const auto n = ::write(stream_, left.data(), step);
            if (n < 0 && errno == EINTR) { continue; }
            if (n < 0) { return {errno, boost::system::system_category()}; }
            left.remove_prefix(static_cast<std::size_t>(n));
        }
        return {};
    }

private:
    [[nodiscard]] bool is_writable() const noexcept {
        pollfd one{.fd = stream_, .events = POLLOUT, .revents = 0};
        return ::poll(&one, 1, 0) > 0; // Also of one that is broken: write() says how.
    }

    const int stream_;
};

std::string encode_json(const Batch& batch) {
    std::string line = detail::otlp_json(batch);
    if (!line.empty()) { line += '\n'; }
    return line;
}

} // namespace

std::shared_ptr<Sink> make_console_sink(
    asio::any_io_executor executor, ConsoleOptions options, Diagnostics& log) {
    const bool to_output = options.stream == ConsoleStream::standard_output;
    using namespace std::chrono_literals;
    return std::make_shared<detail::TextSink>(detail::TextSink::Setup{
        .executor = std::move(executor),
        .output = std::make_unique<StreamOutput>(to_output ? STDOUT_FILENO : STDERR_FILENO),
        .encode = options.format == ConsoleFormat::json ? &encode_json : &detail::console_text,
        .name = to_output ? "standard output" : "standard error",
        .retry_interval = 1s,
        .retry_for = 5min,
        .log = log});
}

} // namespace weft
