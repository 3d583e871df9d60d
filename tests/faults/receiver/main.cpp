// weft-fault-receiver: counts the numbered spans that arrive over OTLP/HTTP, each number once, while it mistreats the
// sender as it is told. A thread per connection, blocking sockets: nothing of weft is in it.
#include "connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>
#include <thread>

namespace weft::faults {
namespace {

constexpr int connections_max = 256;

struct Options {
    std::uint16_t port = 0;
    std::uint64_t numbers = 1u << 20;
    std::string state;
    std::string json;
    Tls tls = Tls::off;
    std::string ca_file;
    Plan plan;
};

constexpr const char* usage =
    "usage: weft-fault-receiver [options]\n"
    "  --port P         port on 127.0.0.1; 0, the default: any free one, printed on stderr\n"
    "  --numbers N      attribute `n` of the spans is below N (default 1048576)\n"
    "  --state FILE     keeps the counts there, also for the next receiver\n"
    "  --fault KIND     how requests are mistreated; several take turns\n"
    "  --every K, --first K, --for SECONDS   which: each K-th, the first K, those so early "
    "(default all)\n"
    "  --tls KIND       valid, expired, wrong-host or self-signed certificate; needs --ca-file "
    "FILE, which is\n"
    "                   written: the authority to trust\n"
    "  --json FILE      also writes the counts there\n"
    "GET on any path answers with the counts. At SIGINT and SIGTERM they go to stdout as one JSON "
    "line.\n";

[[noreturn]] void misused(const std::string& what) {
    std::fprintf(stderr, "weft-fault-receiver: %s; see --help\n", what.c_str());
    std::exit(2);
}

template <class Number>
Number read_number(const std::string& name, const std::string& text, Number low, Number high) {
    Number value{};
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || value < low ||
        value > high) {
        misused(
            name + " takes " + std::to_string(low) + " to " + std::to_string(high) + ", not '" +
            text + "'");
    }
    return value;
}

Tls read_tls(const std::string& text) {
    if (text == "valid") { return Tls::valid; }
    if (text == "expired") { return Tls::expired; }
    if (text == "wrong-host") { return Tls::wrong_host; }
    if (text == "self-signed") { return Tls::self_signed; }
    misused("--tls takes valid, expired, wrong-host or self-signed, not '" + text + "'");
}

void take(Options& options, const std::string& name, const std::string& value) {
    if (name == "--port") {
        options.port = read_number<std::uint16_t>(name, value, 0, 65535);
    } else if (name == "--numbers") {
        options.numbers = read_number<std::uint64_t>(name, value, 1, 1u << 30);
    } else if (name == "--state") {
        options.state = value;
    } else if (name == "--json") {
        options.json = value;
    } else if (name == "--tls") {
        options.tls = read_tls(value);
    } else if (name == "--ca-file") {
        options.ca_file = value;
    } else if (name == "--every") {
        options.plan.every = read_number<std::uint64_t>(name, value, 1, 1u << 30);
    } else if (name == "--first") {
        options.plan.first = read_number<std::uint64_t>(name, value, 0, 1u << 30);
    } else if (name == "--for") {
        options.plan.within =
            std::chrono::milliseconds(1000 * read_number<std::int64_t>(name, value, 1, 86400));
    } else if (name == "--fault") {
        std::string problem;
        const auto fault = parse_fault(value, problem);
        if (!fault) { misused(problem); }
        options.plan.faults.push_back(*fault);
    } else {
        misused("unknown option '" + name + "'");
    }
}

int listen_on(std::uint16_t& port) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener, 128) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::system_error(
            errno, std::system_category(), "cannot listen on 127.0.0.1:" + std::to_string(port));
    }
    port = ntohs(address.sin_port);
    return listener;
}

// Ends with the process.
void accept_for_ever(int listener, SSL_CTX* tls, Store& store, Plan& plan) {
    static std::atomic<int> open{0};
    for (;;) {
        const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0) { continue; }
        if (open.fetch_add(1) >= connections_max) {
            open.fetch_sub(1);
            ::close(socket);
            continue;
        }
        std::thread([socket, tls, &store, &plan] {
            Stream stream(socket, tls);
            serve(stream, store, plan);
            open.fetch_sub(1);
        }).detach();
    }
}

int run(Options& options) {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr); // Inherited by every thread.
    std::signal(SIGPIPE, SIG_IGN);               // OpenSSL writes without MSG_NOSIGNAL.
    Store store(options.state, options.numbers);
    const auto tls = make_tls(options.tls, options.ca_file);
    const int listener = listen_on(options.port);
    std::thread([&] { accept_for_ever(listener, tls.get(), store, options.plan); }).detach();
    std::fprintf(
        stderr, "listening on %s://127.0.0.1:%u\n", tls ? "https" : "http", unsigned{options.port});
    int number = 0;
    sigwait(&stops, &number);
    const std::string counts = store.to_json() + "\n";
    std::fputs(counts.c_str(), stdout);
    bool written = std::fflush(stdout) == 0;
    if (!options.json.empty()) {
        FILE* const file = std::fopen(options.json.c_str(), "w");
        written = file != nullptr && std::fputs(counts.c_str(), file) >= 0 && written;
        written = file != nullptr && std::fclose(file) == 0 && written;
    }
    std::_Exit(written ? 0 : 1); // Connections are still served; nothing of theirs needs an end.
}

} // namespace
} // namespace weft::faults

int main(int argc, char** argv) {
    using namespace weft::faults;
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--help" || name == "-h") {
            std::fputs(usage, stdout);
            std::fputs(fault_help().data(), stdout);
            return 0;
        }
        if (i + 1 == argc) { misused("unknown option, or one without its value: '" + name + "'"); }
        take(options, name, argv[++i]);
    }
    if (options.tls != Tls::off && options.ca_file.empty()) { misused("--tls needs --ca-file"); }
    try {
        return run(options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weft-fault-receiver: %s\n", error.what());
        return 1;
    }
}
