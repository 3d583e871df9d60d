#include "export_run.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace weft::bench {
namespace {

constexpr std::uint64_t whole_spans = 1'000'000;
constexpr std::uint64_t brief_spans = 20'000; // When the whole program is only tried.
constexpr std::uint64_t paced_rate = 100'000;

std::string beside_this_program(const std::string& name) {
    std::array<char, 4096> path{};
    const auto size = ::readlink("/proc/self/exe", path.data(), path.size());
    if (size <= 0) { throw std::system_error(errno, std::system_category(), "/proc/self/exe"); }
    const std::string self(path.data(), static_cast<std::size_t>(size));
    return self.substr(0, self.rfind('/') + 1) + name;
}

// A child with one of its outputs in our hands.
class Child {
public:
    Child(
        const std::vector<std::string>& command, std::vector<std::string> more_environment,
        int output)
        : name_(command.front()) {
        std::array<int, 2> pipe{};
        if (::pipe2(pipe.data(), O_CLOEXEC) != 0) { fail("pipe"); }
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        // Of stdout we want the load's only; the receiver's counts come by file.
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, pipe[1], output);
        std::vector<char*> arguments;
        for (const auto& argument : command) {
            arguments.push_back(const_cast<char*>(argument.c_str()));
        }
        arguments.push_back(nullptr);
        std::vector<char*> environment;
        for (auto& variable : more_environment) { environment.push_back(variable.data()); }
        for (char** variable = environ; *variable != nullptr; ++variable) {
            // What the caller has set for telemetry of his own is not to be measured.
            if (!std::string_view(*variable).starts_with("OTEL_")) {
                environment.push_back(*variable);
            }
        }
        environment.push_back(nullptr);
        const int error = ::posix_spawn(
            &pid_, name_.c_str(), &actions, nullptr, arguments.data(), environment.data());
        posix_spawn_file_actions_destroy(&actions);
        ::close(pipe[1]);
        output_ = pipe[0];
        if (error != 0) {
            ::close(output_);
            errno = error;
            fail("cannot start");
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        ::close(output_);
    }

    std::string read_line() {
        std::string line;
        for (char c = 0; ::read(output_, &c, 1) == 1 && c != '\n';) { line += c; }
        return line;
    }
    void terminate() const { ::kill(pid_, SIGTERM); }
    void wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = 0;
        if (status != 0) { throw std::runtime_error(name_ + " failed"); }
    }

private:
    [[noreturn]] void fail(const char* what) const {
        throw std::system_error(errno, std::system_category(), name_ + ": " + what);
    }

    std::string name_;
    pid_t pid_ = 0;
    int output_ = -1;
};

// The first number of that name; both programs print flat enough JSON.
double number(const std::string& json, const std::string& name) {
    const auto key = "\"" + name + "\": ";
    const auto at = json.find(key);
    double value = 0;
    if (at == std::string::npos ||
        std::from_chars(json.data() + at + key.size(), json.data() + json.size(), value).ec !=
            std::errc()) {
        throw std::runtime_error("no " + name + " in '" + json + "'");
    }
    return value;
}

} // namespace

ExportFigures run_export(const std::string& load_program, std::uint64_t spans, std::uint64_t rate) {
    const auto counts_file = "/tmp/weft-bench-" + std::to_string(::getpid()) + ".json";
    Child receiver(
        {beside_this_program("weft-fault-receiver"), "--json", counts_file}, {}, STDERR_FILENO);
    const std::string prefix = "listening on ";
    const auto line = receiver.read_line();
    if (!line.starts_with(prefix)) { throw std::runtime_error("the receiver says '" + line + "'"); }
    Child load(
        {beside_this_program(load_program), "--spans", std::to_string(spans), "--rate",
         std::to_string(rate)},
        {"OTEL_EXPORTER_OTLP_ENDPOINT=" + line.substr(prefix.size()),
         "OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "OTEL_METRICS_EXPORTER=none",
         "OTEL_LOG_LEVEL=none"},
        STDOUT_FILENO);
    const auto made = load.read_line();
    load.wait();
    receiver.terminate();
    receiver.wait();
    FILE* const file = std::fopen(counts_file.c_str(), "r");
    std::array<char, 4096> counts{};
    if (file == nullptr || std::fgets(counts.data(), counts.size(), file) == nullptr) {
        throw std::runtime_error("the receiver has written no counts");
    }
    std::fclose(file);
    (void)std::remove(counts_file.c_str());
    return {
        .recorded = number(made, "recorded"),
        .received = number(counts.data(), "unique"),
        .cpu_us = 1e6 * number(made, "cpu_s"),
        .peak_rss_mib = number(made, "peak_rss_kib") / 1024};
}

void add_export_cases(Suite& suite, const std::string& load_program) {
    const auto run = [&suite, load_program](std::uint64_t rate) {
        const auto figures =
            run_export(load_program, suite.is_brief() ? brief_spans : whole_spans, rate);
        if (figures.received <= 0) { throw std::runtime_error("no span arrived"); }
        return figures;
    };
    suite.add_value("export_cpu_us_per_span_paced_100k", "us", [run] {
        const auto figures = run(paced_rate);
        return figures.cpu_us / figures.received;
    });
    suite.add_value("export_1m_defaults_dropped_percent", "percent", [run] {
        const auto figures = run(0);
        return 100 * (1 - figures.received / figures.recorded);
    });
    suite.add_value("export_1m_peak_rss_mib", "MiB", [run] { return run(0).peak_rss_mib; });
}

} // namespace weft::bench
