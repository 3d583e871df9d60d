#include "cells.hpp"

// Sockets, pipes, names, signals and channels.

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <string>

namespace matrix {
namespace {

using asio::ip::tcp;
using asio::ip::udp;
using asio::local::stream_protocol;
using boost::system::error_code;

void expect_success(const error_code& error) { EXPECT_FALSE(error) << error.message(); }

template <class Protocol>
typename Protocol::endpoint fresh_endpoint() {
    return {asio::ip::address_v4::loopback(), 0};
}
// In the abstract namespace: leaves no file.
template <>
stream_protocol::endpoint fresh_endpoint<stream_protocol>() {
    static std::atomic<unsigned> count{0}; // Any thread takes the next name.
    return {
        std::string(1, '\0') + "weft-matrix-" + std::to_string(getpid()) + "-" +
        std::to_string(count.fetch_add(1, std::memory_order_relaxed))}; // A counter.
}

template <class Protocol>
struct ConnectAccept {
    using Socket = typename Protocol::socket;
    using Acceptor = typename Protocol::acceptor;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        Acceptor acceptor(executor, fresh_endpoint<Protocol>());
        Socket client(executor);
        co_await client.async_connect(acceptor.local_endpoint(), Way::token);
        here.check();
        (void)co_await acceptor.async_accept(Way::token);
        here.check();
        connect_later(here, acceptor);
        (void)co_await acceptor.async_accept(Way::token); // Waits.
        here.check();
    }
    static void call(Callbacks& c) {
        auto& acceptor = c.keep<Acceptor>(c.stage().io, fresh_endpoint<Protocol>());
        auto& client = c.keep<Socket>(c.stage().io);
        client.async_connect(acceptor.local_endpoint(), c.bound([&](error_code error) {
            expect_success(error);
            c.check();
            acceptor.async_accept(c.bound([&c](error_code failed, Socket) {
                expect_success(failed);
                c.check();
                c.done();
            }));
        }));
    }

private:
    static void connect_later(const Here& here, Acceptor& acceptor) {
        auto client = std::make_shared<Socket>(here.stage().io);
        here.origin().outside(
            [client, there = acceptor.local_endpoint()] { client->connect(there); });
    }
};
struct TcpConnectAccept : ConnectAccept<tcp> {
    static constexpr const char* name = "TcpConnectAccept";
};
struct UnixConnectAccept : ConnectAccept<stream_protocol> {
    static constexpr const char* name = "UnixConnectAccept";
};

void connect_both(tcp::socket& left, tcp::socket& right) {
    tcp::acceptor acceptor(left.get_executor(), fresh_endpoint<tcp>());
    left.connect(acceptor.local_endpoint());
    acceptor.accept(right);
}
void connect_both(stream_protocol::socket& left, stream_protocol::socket& right) {
    asio::local::connect_pair(left, right);
}
void connect_both(asio::writable_pipe& left, asio::readable_pipe& right) {
    asio::connect_pipe(right, left);
}
void connect_both(asio::posix::stream_descriptor& left, asio::posix::stream_descriptor& right) {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(pipe(ends.data()), 0);
    right.assign(ends[0]);
    left.assign(ends[1]);
}

// Of two connected ends one is written and the other is read, first with data there, then waiting for it.
template <class Writer, class Reader>
struct ReadWrite {
    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        const auto out = std::make_shared<Writer>(executor);
        Reader in(executor);
        connect_both(*out, in);
        std::array<char, 5> got{};
        co_await asio::async_write(*out, asio::buffer("hello", 5), Way::token);
        here.check();
        co_await asio::async_read(in, asio::buffer(got), Way::token);
        here.check();
        EXPECT_EQ(std::string(got.data(), got.size()), "hello");
        here.origin().outside([out] { asio::write(*out, asio::buffer("x", 1)); });
        EXPECT_EQ(co_await in.async_read_some(asio::buffer(got), Way::token), 1U);
        here.check();
    }
    static void call(Callbacks& c) {
        auto& out = c.keep<Writer>(c.stage().io);
        auto& in = c.keep<Reader>(c.stage().io);
        connect_both(out, in);
        auto& got = c.keep<std::array<char, 5>>();
        asio::async_write(
            out, asio::buffer("hello", 5), c.bound([&](error_code error, std::size_t) {
                expect_success(error);
                c.check();
                asio::async_read(
                    in, asio::buffer(got), c.bound([&c](error_code failed, std::size_t) {
                        expect_success(failed);
                        c.check();
                        c.done();
                    }));
            }));
    }
};
struct TcpReadWrite : ReadWrite<tcp::socket, tcp::socket> {
    static constexpr const char* name = "TcpReadWrite";
};
struct UnixReadWrite : ReadWrite<stream_protocol::socket, stream_protocol::socket> {
    static constexpr const char* name = "UnixReadWrite";
};
struct Pipe : ReadWrite<asio::writable_pipe, asio::readable_pipe> {
    static constexpr const char* name = "Pipe";
};
struct StreamDescriptor
    : ReadWrite<asio::posix::stream_descriptor, asio::posix::stream_descriptor> {
    static constexpr const char* name = "StreamDescriptor";
};

struct UdpSendReceive {
    static constexpr const char* name = "UdpSendReceive";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        udp::socket socket(co_await asio::this_coro::executor, fresh_endpoint<udp>());
        char got = 0;
        udp::endpoint sender;
        co_await socket.async_send_to(asio::buffer("u", 1), socket.local_endpoint(), Way::token);
        here.check();
        co_await socket.async_receive_from(asio::buffer(&got, 1), sender, Way::token);
        here.check();
        EXPECT_EQ(got, 'u');
    }
    static void call(Callbacks& c) {
        auto& socket = c.keep<udp::socket>(c.stage().io, fresh_endpoint<udp>());
        auto& got = c.keep<char>();
        socket.async_send_to(
            asio::buffer("u", 1), socket.local_endpoint(),
            c.bound([&](error_code error, std::size_t) {
                expect_success(error);
                c.check();
                socket.async_receive(
                    asio::buffer(&got, 1), c.bound([&c](error_code failed, std::size_t) {
                        expect_success(failed);
                        c.check();
                        c.done();
                    }));
            }));
    }
};

// Numbers, so that no server is asked; Asio asks its own thread all the same.
struct Resolver {
    static constexpr const char* name = "Resolver";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        tcp::resolver resolver(co_await asio::this_coro::executor);
        const auto found = co_await resolver.async_resolve("127.0.0.1", "80", Way::token);
        EXPECT_FALSE(found.empty());
        here.check();
    }
    static void call(Callbacks& c) {
        auto& resolver = c.keep<tcp::resolver>(c.stage().io);
        resolver.async_resolve(
            "127.0.0.1", "80", c.bound([&c](error_code error, const tcp::resolver::results_type&) {
                expect_success(error);
                c.check();
                c.done();
            }));
    }
};

struct SignalSet {
    static constexpr const char* name = "SignalSet";

    // Two threads that each make the first set of a loop make Asio's service for it twice, and taking one of them back
    // takes the loop off the signals' pipe for good. One set made before prevents it.
    static void prepare(Stage& stage) { const asio::signal_set first(stage.io); }

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto signals =
            std::make_shared<asio::signal_set>(co_await asio::this_coro::executor, SIGUSR1);
        raise_later(here, signals);
        EXPECT_EQ(co_await signals->async_wait(Way::token), SIGUSR1);
        here.check();
    }
    static void call(Callbacks& c) {
        const auto signals = std::make_shared<asio::signal_set>(c.stage().io, SIGUSR1);
        raise_later(c.here(), signals);
        signals->async_wait(c.bound([&c, signals](error_code error, int) {
            expect_success(error);
            c.check();
            c.done();
        }));
    }

private:
    // A signal reaches every set: another chain's may come first. The set lives until this one has been raised, or it
    // would end the program.
    static void raise_later(const Here& here, std::shared_ptr<asio::signal_set> set) {
        here.origin().outside([set = std::move(set)] { std::raise(SIGUSR1); });
    }
};

// The other end is a chain with a span of its own.
template <class Channel>
struct ChannelRow {
    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto channel = std::make_shared<Channel>(here.stage().io, 0);
        send_later(here, channel);
        EXPECT_EQ(co_await channel->async_receive(Way::token), 1);
        here.check();
        EXPECT_EQ(co_await channel->async_receive(Way::token), 2);
        here.check();
    }
    static void call(Callbacks& c) {
        const auto channel = std::make_shared<Channel>(c.stage().io, 0);
        send_later(c.here(), channel);
        channel->async_receive(c.bound([&c, channel](error_code error, int value) {
            expect_success(error);
            EXPECT_EQ(value, 1);
            c.check();
            channel->async_receive(c.bound([&c](error_code failed, int) {
                expect_success(failed);
                c.check();
                c.done();
            }));
        }));
    }

private:
    static weft::Task<void> send(Stage& stage, std::shared_ptr<Channel> channel) {
        const Here sender(stage.root());
        for (const int value : {1, 2}) {
            co_await channel->async_send({}, value, weft::testing::use_task);
            sender.check();
        }
    }
    static void send_later(const Here& here, std::shared_ptr<Channel> channel) {
        Stage& stage = here.stage();
        here.origin().outside([&stage, channel = std::move(channel), end = stage.chain()] {
            weft::co_spawn(stage.io, send(stage, channel), end);
        });
    }
};
struct Channel : ChannelRow<asio::experimental::channel<void(error_code, int)>> {
    static constexpr const char* name = "Channel";
    static constexpr bool one_thread_only = true;
};
struct ConcurrentChannel
    : ChannelRow<asio::experimental::concurrent_channel<void(error_code, int)>> {
    static constexpr const char* name = "ConcurrentChannel";
};

[[maybe_unused]] const bool io_added =
    (add_row<TcpConnectAccept>(), add_row<TcpReadWrite>(), add_row<UnixConnectAccept>(),
     add_row<UnixReadWrite>(), add_row<UdpSendReceive>(), add_row<Resolver>(),
     add_row<StreamDescriptor>(), add_row<Pipe>(), add_row<SignalSet>(), add_row<Channel>(),
     add_row<ConcurrentChannel>());

} // namespace
} // namespace matrix
