// As plain_co_spawn_of_a_task, in the words of a user's main function.
#include <weft/weft.hpp>

#include <boost/asio/detached.hpp>

weft::Task<> serve() { co_return; }

int main() {
    weft::Runtime runtime;
#if defined(WEFT_MISUSE)
    boost::asio::co_spawn(runtime.get_executor(), serve(), boost::asio::detached);
#else
    weft::co_spawn(runtime, serve(), boost::asio::detached);
#endif
    return runtime.run();
}
