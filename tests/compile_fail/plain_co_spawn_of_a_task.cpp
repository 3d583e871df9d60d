// Asio's co_spawn would run the coroutine without a context of its own.
#include <weft/runtime/spawn.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

weft::Task<> serve() { co_return; }

int main() {
    boost::asio::io_context io_context;
#if defined(WEFT_MISUSE)
    boost::asio::co_spawn(io_context, serve(), boost::asio::detached);
#else
    weft::co_spawn(io_context, serve(), boost::asio::detached);
#endif
}
