#pragma once
// A forked child of the test itself. It runs a function and ends by _exit, so that nothing of the test's own runs twice;
// it is killed when it takes too long, so that a hang is a failure.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <utility>

namespace weft::testing {

class Forked {
public:
    static constexpr std::chrono::seconds patience{30};

    /// Forks; the child runs `work`. It fails by an exception or a failed expectation.
    template <class Work>
    explicit Forked(Work&& work) {
        std::fflush(nullptr); // Or the child may write it again.
        pid_ = fork();
        if (pid_ != 0) { return; }
        int status = 1;
        try {
            work();
            status = ::testing::Test::HasFailure() ? 1 : 0;
        } catch (const std::exception& error) {
            std::fprintf(stderr, "exception in a forked child: %s\n", error.what());
        }
        std::fflush(nullptr);
        _exit(status);
    }
    Forked(Forked&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Forked& operator=(Forked&&) = delete;
    ~Forked() {
        if (pid_ <= 0) { return; }
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// "exit 0", "signal 15", or that it hung.
    [[nodiscard]] std::string wait() {
        using Steady = std::chrono::steady_clock;
        const auto until = Steady::now() + patience;
        int status = 0;
        while (waitpid(pid_, &status, WNOHANG) == 0) {
            if (Steady::now() >= until) { return "hangs"; } // The destructor kills it.
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        pid_ = -1;
        if (WIFSIGNALED(status)) { return "signal " + std::to_string(WTERMSIG(status)); }
        return "exit " + std::to_string(WEXITSTATUS(status));
    }

private:
    pid_t pid_ = -1;
};

} // namespace weft::testing
