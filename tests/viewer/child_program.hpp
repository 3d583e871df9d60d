#pragma once
// A program of ours as a child process, and the least HTTP that is needed to talk to it. Each wait
// has a deadline.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::testing {

class ChildProgram {
public:
    explicit ChildProgram(std::vector<std::string> command) {
        std::array<int, 2> out{};
        std::array<int, 2> err{};
        if (pipe(out.data()) != 0 || pipe(err.data()) != 0) { std::abort(); }
        std::vector<char*> arguments;
        for (std::string& word : command) { arguments.push_back(word.data()); }
        arguments.push_back(nullptr);
        pid_ = fork();
        if (pid_ == 0) {
            dup2(out[1], STDOUT_FILENO);
            dup2(err[1], STDERR_FILENO);
            for (const int descriptor : {out[0], out[1], err[0], err[1]}) { close(descriptor); }
            execv(arguments[0], arguments.data());
            _exit(127);
        }
        close(out[1]);
        close(err[1]);
        streams_ = {{{out[0], {}}, {err[0], {}}}};
    }
    ~ChildProgram() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        for (const Stream& stream : streams_) { close(stream.descriptor); }
    }
    ChildProgram(const ChildProgram&) = delete;
    ChildProgram& operator=(const ChildProgram&) = delete;

    /// All that has been read so far.
    [[nodiscard]] const std::string& out() const { return streams_[0].text; }
    [[nodiscard]] const std::string& err() const { return streams_[1].text; }

    /// Reads until the text has appeared on stdout (0) or stderr (1).
    [[nodiscard]] bool wait_for(int stream, std::string_view text) {
        const auto deadline = Clock::now() + patience;
        while (streams_[static_cast<std::size_t>(stream)].text.find(text) == std::string::npos) {
            if (!read_some(deadline)) { return false; }
        }
        return true;
    }

    /// The port after "listening on http://...:", or 0.
    [[nodiscard]] std::uint16_t port() {
        if (!wait_for(1, "listening on http://") || !wait_for(1, "\n")) { return 0; }
        const auto colon = err().find_last_of(':');
        return static_cast<std::uint16_t>(std::strtoul(err().c_str() + colon + 1, nullptr, 10));
    }

    void send(int signal) const { kill(pid_, signal); }

    /// Reads to the end of both streams and returns the exit status, or -1 after a signal or too
    /// long a time.
    [[nodiscard]] int wait() {
        const auto deadline = Clock::now() + patience;
        while (read_some(deadline)) {}
        if (Clock::now() >= deadline) { return -1; }
        int status = 0;
        waitpid(std::exchange(pid_, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds patience{30};
    struct Stream {
        int descriptor = -1;
        std::string text;
        bool ended = false;
    };

    // False at the end of both streams or at the deadline.
    bool read_some(Clock::time_point deadline) {
        std::vector<pollfd> waits;
        for (const Stream& stream : streams_) {
            if (!stream.ended) { waits.push_back({stream.descriptor, POLLIN, 0}); }
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (waits.empty() || left.count() <= 0) { return false; }
        if (poll(waits.data(), waits.size(), static_cast<int>(left.count())) <= 0) { return false; }
        for (const pollfd& ready : waits) {
            if (ready.revents == 0) { continue; }
            Stream& stream = streams_[0].descriptor == ready.fd ? streams_[0] : streams_[1];
            std::array<char, 4096> chunk;
            const auto count = read(ready.fd, chunk.data(), chunk.size());
            if (count <= 0) {
                stream.ended = true;
            } else {
                stream.text.append(chunk.data(), static_cast<std::size_t>(count));
            }
        }
        return true;
    }

    pid_t pid_ = -1;
    std::array<Stream, 2> streams_;
};

/// Sends one request on a connection of its own and returns the whole response, or nothing.
[[nodiscard]] inline std::string exchange_http(std::uint16_t port, std::string_view request) {
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    const timeval patience{30, 0};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string response;
    if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(request.size())) {
        std::array<char, 4096> chunk;
        for (ssize_t count = 0; (count = recv(descriptor, chunk.data(), chunk.size(), 0)) > 0;) {
            response.append(chunk.data(), static_cast<std::size_t>(count));
        }
    }
    close(descriptor);
    return response;
}

} // namespace weft::testing
