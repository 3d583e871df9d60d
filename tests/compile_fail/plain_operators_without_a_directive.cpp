// Nothing of weft is in the type of a plain awaitable: without a directive there is no `&&` for it, not a wrong one.
#include <weft/runtime/operators.hpp>

namespace program {

namespace asio = boost::asio;

asio::awaitable<int> half();

asio::awaitable<void> whole() {
#if !defined(WEFT_MISUSE)
    using namespace weft::awaitable_operators;
#endif
    (void)co_await (half() && half());
}

} // namespace program
