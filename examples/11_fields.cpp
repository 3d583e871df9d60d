// What the log lines of a request have in common: fields in the context, late ones too, and values under keys of your own.
// Expect: two lines, the second with the user's id, and exit status 0.
#include <weft/signals/fields.hpp>
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <cstdio>
#include <exception>
#include <string>

namespace asio = boost::asio;

namespace {

int lines = 0;

// [readme:key]
struct Tenant {
    std::string name;
    int quota = 0;
};
inline constexpr weft::ContextKey<Tenant> tenant_key("tenant");

bool may_order(int cups) {
    const auto tenant = weft::current(tenant_key); // Shared and const; null where nobody set it.
    return tenant != nullptr && cups <= tenant->quota;
}
// [/readme:key]

// Stands for a logger: the keys that its line would have.
void log_line(const char* message) {
    std::string keys;
    weft::current_fields().for_each([&](std::string_view key, std::span<const std::byte>) {
        keys += (keys.empty() ? "" : ", ") + std::string(key);
    });
    std::printf("%s (%s)\n", message, keys.c_str());
    ++lines;
}

// [readme:fields]
weft::Task<void> log_in() {
    const auto step = weft::with_fields({{"step", "login"}}); // Until the end of this scope.
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable_t<weft::Executor>{});
    weft::add_field("user.id", "ada"); // For all that this request has still to say.
}

weft::Task<void> request() {
    const auto fields = weft::with_request_fields({{"request.id", "r-7"}});
    log_line("begins"); // request.id
    co_await log_in();
    log_line("ends"); // request.id, user.id
}
// [/readme:fields]

weft::Task<void> order() {
    const auto tenant = weft::with(tenant_key, {.name = "acme", .quota = 3});
    co_await request();
    if (!may_order(2) || may_order(4)) { lines = -1; }
}

} // namespace

int main() {
    asio::io_context io(1);
    weft::co_spawn(io, order(), [](const std::exception_ptr&) {});
    io.run();
    return lines == 2 ? 0 : 1;
}
