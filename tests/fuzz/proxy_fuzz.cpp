// What a user can put into the variables for proxies: a URL, and the list of hosts that go without. Input: the URL, the
// list and a host, each on a line.
#include <weft/exporters/proxy.hpp>
#include <weft/exporters/url.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool promise, const char* what) {
    if (promise) { return; }
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

std::string_view take_line(std::string_view& input) {
    const auto line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    return line;
}

void read_proxy(std::string_view text) {
    const auto proxy = weft::parse_proxy(text);
    if (!proxy) { return; }
    require(!proxy->host.empty() && proxy->port != 0, "a proxy has a host and a port");
    for (const char c : proxy->authorization + proxy->host) {
        require(
            static_cast<unsigned char>(c) >= 0x20 && c != 0x7f,
            "nothing of it ends a header's line");
    }
    require(
        proxy->authorization.empty() ||
            proxy->text_for_messages().find(proxy->authorization) == std::string::npos,
        "messages hold no credentials");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    read_proxy(take_line(input));
    const auto list = take_line(input);
    const auto host = take_line(input);
    const bool direct = weft::is_direct(list, host, 4318);
    require(
        !direct || !weft::is_direct("", "out.test", 80), "only loopback is direct without a list");
    require(weft::is_direct("*", host, 4318), "* is for all");
    std::string longer(list);
    longer += ",one.more.test";
    require(!direct || weft::is_direct(longer, host, 4318), "a longer list exempts no fewer");
    return 0;
}
