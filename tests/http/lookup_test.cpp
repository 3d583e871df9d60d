// What a client makes of name servers: addresses that lead nowhere, and no answer at all.
#include "loop.hpp"
#include "raw_socket.hpp"

#include <weft/http/client.hpp>

#include <arpa/inet.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http::testing {
namespace {

using Clock = std::chrono::steady_clock;

/// Stands in for the name server: "hangs.test" and "slow.test" wait until the test lets them go; the first then gets
/// nothing, the other, as everything else, `addresses`.
class NameServer {
public:
    // Ends by itself after half a minute, so that a failure is a failure and not a hang.
    int answer(std::string_view host, std::string_view service, addrinfo** found) {
        std::unique_lock lock(mutex_);
        if (host == "hangs.test" || host == "slow.test") {
            ++waiting_;
            changed_.notify_all();
            changed_.wait_for(lock, patience, [this] { return open_; });
            --waiting_;
            changed_.notify_all();
            if (host == "hangs.test") { return EAI_AGAIN; }
        }
        addrinfo* next = nullptr;
        for (auto address = addresses_.rbegin(); address != addresses_.rend(); ++address) {
            auto* place = new sockaddr_in{};
            place->sin_family = AF_INET;
            place->sin_port = htons(static_cast<std::uint16_t>(std::stoi(std::string(service))));
            inet_pton(AF_INET, address->c_str(), &place->sin_addr);
            next = new addrinfo{
                .ai_flags = 0,
                .ai_family = AF_INET,
                .ai_socktype = SOCK_STREAM,
                .ai_protocol = IPPROTO_TCP,
                .ai_addrlen = sizeof *place,
                .ai_addr = reinterpret_cast<sockaddr*>(place),
                .ai_canonname = nullptr,
                .ai_next = next};
        }
        *found = next;
        return 0;
    }
    static void release(addrinfo* found) {
        while (found != nullptr) {
            delete reinterpret_cast<sockaddr_in*>(found->ai_addr);
            delete std::exchange(found, found->ai_next);
        }
    }
    void set_addresses(std::vector<std::string> addresses) {
        const std::lock_guard lock(mutex_);
        addresses_ = std::move(addresses);
    }
    [[nodiscard]] bool wait_for_waiting(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience / 2, [&] { return waiting_ == count; });
    }
    void set_open(bool open) {
        const std::lock_guard lock(mutex_);
        open_ = open;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> addresses_;
    bool open_ = false;
    int waiting_ = 0;
};

NameServer& name_server() {
    static auto& instance = *new NameServer; // A look-up may end after main().
    return instance;
}

/// A port that swallows every attempt to connect: its queue of connections is full.
class BlackHole {
public:
    BlackHole(const std::string& address, std::uint16_t port) {
        sockaddr_in place{};
        place.sin_family = AF_INET;
        place.sin_port = htons(port);
        inet_pton(AF_INET, address.c_str(), &place.sin_addr);
        const auto* where = reinterpret_cast<const sockaddr*>(&place);
        for (int& descriptor : descriptors_) {
            descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        }
        EXPECT_EQ(::bind(descriptors_[0], where, sizeof place), 0);
        EXPECT_EQ(::listen(descriptors_[0], 0), 0);
        for (std::size_t i = 1; i < descriptors_.size(); ++i) {
            (void)::connect(descriptors_[i], where, sizeof place);
        }
    }
    BlackHole(const BlackHole&) = delete;
    BlackHole& operator=(const BlackHole&) = delete;
    ~BlackHole() {
        for (const int descriptor : descriptors_) { ::close(descriptor); }
    }

private:
    std::array<int, 4> descriptors_;
};

ClientRequest get(const std::string& host, std::uint16_t port) {
    return ClientRequest("GET", "http://" + host + ":" + std::to_string(port) + "/");
}

TEST(ClientConnect, LeavesTimeForTheNextAddressWhenOneSwallowsEverything) {
    RawServer server([](RawServer& self) {
        auto socket = self.accept();
        socket.receive_request();
        socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    const BlackHole first("127.0.0.2", server.port());
    name_server().set_addresses({"127.0.0.2", "127.0.0.1"});
    Loop loop;
    const Client client(loop.context(), {.traced = false, .connect_timeout = milliseconds(3000)});
    const auto result = loop.run(client.request(get("two.test", server.port())));
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->body(), "ok");
}

TEST(ClientConnect, TriesNoOtherAddressWhenItsTimeIsOver) {
    RawServer server([](RawServer& self) {
        auto socket = self.accept();
        socket.receive_request();
        socket.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    const BlackHole first("127.0.0.2", server.port());
    name_server().set_addresses({"127.0.0.2", "127.0.0.1"});
    Loop loop;
    const Client client(loop.context(), {.traced = false, .connect_timeout = milliseconds(100)});
    EXPECT_EQ(loop.run(client.request(get("two.test", server.port()))).error(), Errc::timed_out)
        << "too short for two shares that are of use";
    EXPECT_EQ(client.stats().connections_opened, 0U);
    RawSocket::connect(server.port()).close(); // Nobody else lets the server go.
}

TEST(ClientConnect, TimesOutWhenEveryAddressSwallowsEverythingAndNotEarlier) {
    const auto port = unused_port();
    const BlackHole first("127.0.0.2", port);
    const BlackHole second("127.0.0.3", port);
    name_server().set_addresses({"127.0.0.2", "127.0.0.3"});
    Loop loop;
    const Client client(loop.context(), {.traced = false, .connect_timeout = milliseconds(100)});
    const auto began = Clock::now();
    EXPECT_EQ(loop.run(client.request(get("two.test", port))).error(), Errc::timed_out);
    EXPECT_GE(Clock::now() - began, milliseconds(90));
}

TEST(HangingLookup, EndsWithTheCallsTimeAndKeepsNoLoopFromBeingDestroyed) {
    std::optional<Loop> loop(std::in_place);
    std::optional<Client> client(std::in_place, loop->context(), ClientOptions{.traced = false});
    const auto began = Clock::now();
    EXPECT_EQ(
        loop->run(client->request(get("hangs.test", 1).set_timeout(milliseconds(50)))).error(),
        Errc::timed_out);
    client.reset();
    loop.reset();
    EXPECT_LT(Clock::now() - began, patience / 3);
    EXPECT_TRUE(name_server().wait_for_waiting(1));
    name_server().set_open(true);
    EXPECT_TRUE(name_server().wait_for_waiting(0));
    name_server().set_open(false);
}

TEST(HangingLookup, IsAbandonedWithTheLoop) {
    const auto began = Clock::now();
    std::optional<std::future<Result<Response>>> answer;
    {
        Loop loop;
        const Client client(
            loop.context(),
            {.traced = false, .connect_timeout = milliseconds(0), .timeout = milliseconds(0)});
        answer = loop.start(client.request(get("hangs.test", 1)));
        EXPECT_TRUE(name_server().wait_for_waiting(1));
    }
    EXPECT_THROW(answer->get(), std::future_error) << "a broken promise: nobody will answer";
    EXPECT_LT(Clock::now() - began, patience / 3);
    name_server().set_open(true);
    EXPECT_TRUE(name_server().wait_for_waiting(0));
    name_server().set_open(false);
}

TEST(HangingLookup, DelaysTheNextAndIsFollowedByIt) {
    RawServer server([](RawServer& self) {
        auto socket = self.accept();
        socket.receive_request();
        socket.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    name_server().set_addresses({"127.0.0.1"});
    Loop loop;
    const Client client(loop.context(), {.traced = false, .connect_timeout = milliseconds(0)});
    auto hanging = loop.start(client.request(get("hangs.test", 1)));
    EXPECT_TRUE(name_server().wait_for_waiting(1));
    auto next = loop.start(client.request(get("one.test", server.port())));
    name_server().set_open(true);
    EXPECT_TRUE(Loop::get(std::move(hanging)).has_error());
    const auto result = Loop::get(std::move(next));
    name_server().set_open(false);
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->status(), 204);
}

TEST(SlowLookup, IsPartOfTheCallsTime) {
    std::optional<RawSocket> held;
    RawServer server([&](RawServer& self) { held = self.accept(); });
    name_server().set_addresses({"127.0.0.1"});
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    const auto began = Clock::now();
    auto call =
        loop.start(client.request(get("slow.test", server.port()).set_timeout(milliseconds(1000))));
    EXPECT_TRUE(name_server().wait_for_waiting(1));
    std::this_thread::sleep_until(began + milliseconds(800)); // The look-up's own time.
    name_server().set_open(true);
    EXPECT_EQ(Loop::get(std::move(call)).error(), Errc::timed_out);
    EXPECT_GE(Clock::now() - began, milliseconds(1000));
    EXPECT_LT(Clock::now() - began, milliseconds(1600)) << "and not the whole time once more";
    name_server().set_open(false);
}

/// A request that can be cancelled, on the loop's only thread.
struct CancellableCall {
    asio::cancellation_signal signal;
    std::future<Result<Response>> result;

    void start(Loop& loop, Task<Result<Response>> task) {
        result = weft::co_spawn(
            loop.context(), std::move(task),
            asio::bind_cancellation_slot(signal.slot(), asio::use_future));
    }
};

TEST(HangingLookup, EndsAtOnceWhenTheCallIsCancelled) {
    CancellableCall call;
    Loop loop(1);
    const Client client(
        loop.context(),
        {.traced = false, .connect_timeout = milliseconds(0), .timeout = milliseconds(0)});
    call.start(loop, client.request(get("hangs.test", 1)));
    EXPECT_TRUE(name_server().wait_for_waiting(1));
    asio::post(loop.context(), [&] { call.signal.emit(asio::cancellation_type::terminal); });
    ASSERT_EQ(call.result.wait_for(patience / 3), std::future_status::ready);
    EXPECT_EQ(call.result.get().error(), Errc::cancelled);
    EXPECT_TRUE(name_server().wait_for_waiting(1)) << "nobody let it go";
    name_server().set_open(true);
    EXPECT_TRUE(name_server().wait_for_waiting(0));
    name_server().set_open(false);
}

TEST(SlowLookup, MakesACallThatIsCancelledAfterItsEndCancelledTheSame) {
    name_server().set_addresses({"127.0.0.1"});
    CancellableCall call;
    CancellableCall other;
    Loop loop(1);
    const Client client(
        loop.context(),
        {.traced = false, .connect_timeout = milliseconds(0), .timeout = milliseconds(0)});
    asio::post(loop.context(), [&] {
        call.start(loop, client.request(get("one.test", unused_port())));
        other.start(loop, client.request(get("hangs.test", 1)));
        // One after the other: the first has an answer, which waits for this thread.
        EXPECT_TRUE(name_server().wait_for_waiting(1));
        call.signal.emit(asio::cancellation_type::terminal);
        other.signal.emit(asio::cancellation_type::terminal);
    });
    EXPECT_TRUE(name_server().wait_for_waiting(1));
    std::promise<void> started; // Until then the futures are not there.
    asio::post(loop.context(), [&] { started.set_value(); });
    started.get_future().wait();
    EXPECT_EQ(Loop::get(std::move(call.result)).error(), Errc::cancelled);
    EXPECT_EQ(Loop::get(std::move(other.result)).error(), Errc::cancelled);
    name_server().set_open(true);
    EXPECT_TRUE(name_server().wait_for_waiting(0));
    name_server().set_open(false);
}

} // namespace

} // namespace weft::http::testing

// In place of the C library's.
extern "C" int getaddrinfo(
    const char* host, const char* service, const addrinfo*, addrinfo** found) {
    return weft::http::testing::name_server().answer(host, service, found);
}
extern "C" void freeaddrinfo(addrinfo* found) noexcept {
    weft::http::testing::NameServer::release(found);
}
